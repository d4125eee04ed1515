import { describe, expect, it } from "vitest";
import {
  dataIfFound,
  describeError,
  fieldMessages,
  messagesBelow,
  OfflineError,
  ProblemError,
} from "./problem";

describe("error responses", () => {
  it("contain the detail, the field messages and all other members of the body", () => {
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
    expect(error.body.run).toBe("r1");
  });

  it.each([null, "<html>Bad gateway</html>", [], 5])(
    "have a message and a next step if the body is not a problem document (%j)",
    (body) => {
      const error = new ProblemError(502, body);
      expect(error.message).toBe("The server could not process the request.");
      expect(error.nextStep).toContain("Try again");
      expect(fieldMessages(error)).toEqual({});
    },
  );

  it("show how many seconds to wait if the server sent a number", () => {
    expect(new ProblemError(429, null, new Headers({ "Retry-After": "12" })).nextStep).toBe(
      "Try again in 12 seconds.",
    );
    expect(
      new ProblemError(429, null, new Headers({ "Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT" })).nextStep,
    ).toBe("Wait a moment, then try again.");
  });

  it("dataIfFound returns old data after every error but 404", () => {
    expect(dataIfFound("old", null)).toBe("old");
    expect(dataIfFound("old", new ProblemError(502, null))).toBe("old");
    expect(dataIfFound("old", new OfflineError())).toBe("old");
    expect(dataIfFound("old", new ProblemError(404, null))).toBeUndefined();
  });

  it("describeError does not show the message of an unexpected error", () => {
    expect(describeError(new OfflineError()).title).toBe("The server cannot be reached.");
    expect(describeError(new TypeError("x is undefined")).title).toBe("Something went wrong on this page.");
  });

  it("messagesBelow returns only the messages below a path, with relative paths", () => {
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
