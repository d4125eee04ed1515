import { describe as group, expect, it } from "vitest";
import { describe, fieldMessages, messagesBelow, OfflineError, ProblemError } from "./problem";

group("problem answers", () => {
  it("carry the detail, the fields and everything else the server said", () => {
    const error = new ProblemError(422, {
      title: "Invalid content",
      status: 422,
      detail: "Some fields are invalid.",
      code: "invalid",
      errors: [{ field: "source.config.port", message: "Must be a whole number.", code: "type" }, "noise"],
      run: "r1",
    });
    expect(error.message).toBe("Some fields are invalid.");
    expect(error.code).toBe("invalid");
    expect(fieldMessages(error)).toEqual({ "source.config.port": "Must be a whole number." });
    expect(error.extra.run).toBe("r1");
  });

  it.each([null, "<html>Bad gateway</html>", [], 5])(
    "a body that is no problem (%j) still gives a sentence",
    (body) => {
      const error = new ProblemError(502, body);
      expect(error.message).toBe("The server could not process the request.");
      expect(error.next).toContain("Try again");
      expect(fieldMessages(error)).toEqual({});
    },
  );

  it("says how long to wait when the server does", () => {
    expect(new ProblemError(429, null, "12").next).toBe("Try again in 12 seconds.");
    expect(new ProblemError(429, null, "Wed, 21 Oct 2026 07:28:00 GMT").next).toBe(
      "Wait a moment, then try again.",
    );
  });

  it("anything else thrown is described without its inner words", () => {
    expect(describe(new OfflineError()).title).toBe("The server cannot be reached.");
    expect(describe(new TypeError("x is undefined")).title).toBe("Something went wrong on this page.");
  });

  it("messages are handed to the part of the form they belong to", () => {
    const messages = {
      "destination.config.port": "Must be a number.",
      "destination.kind": "Bad.",
      name: "Taken.",
    };
    expect(messagesBelow(messages, "destination")).toEqual({
      "config.port": "Must be a number.",
      kind: "Bad.",
    });
    expect(messagesBelow(messages, "destination.config")).toEqual({ port: "Must be a number." });
  });
});
