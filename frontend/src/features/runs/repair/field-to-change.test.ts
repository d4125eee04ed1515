import { expect, it } from "vitest";
import { fieldToChange } from "./field-to-change";

const postgres = {
  config_schema: {
    properties: { host: {}, port: {}, database: {}, user: {}, password: {}, ssl_root_cert: {} },
  },
  secret_paths: ["password", "headers.*"],
};
const failure = (failureClass: string, message: string) => ({ class: failureClass, message, evidence: [] });

it("a wrong password leads to the password", () => {
  const wrong = failure("authentication", 'password authentication failed for user "drover"');
  expect(fieldToChange(postgres, wrong, {})).toBe("password");
  expect(fieldToChange(postgres, failure("authentication", "refused"), {})).toBe("password");
});

it("an invalid setting leads to the setting that the message names", () => {
  expect(fieldToChange(postgres, failure("configuration", "the port is not open"), {})).toBe("port");
  expect(fieldToChange(postgres, failure("configuration", "the SSL root cert is unreadable"), {})).toBe(
    "ssl_root_cert",
  );
  expect(fieldToChange(postgres, failure("configuration", "this report is wrong"), {})).toBeNull();
});

it("other failures lead to no setting", () => {
  expect(fieldToChange(postgres, failure("source", "the host is down"), {})).toBeNull();
  expect(
    fieldToChange({ config_schema: null, secret_paths: [] }, failure("authentication", ""), {}),
  ).toBeNull();
});

it("a refused log-in leads to the secret that is set, also to one of the chosen option", () => {
  const rest = {
    config_schema: { properties: { auth: {}, headers: {} } },
    secret_paths: ["auth.token", "auth.key"],
  };
  const refused = failure("authentication", "HTTP 401");
  const secret = { set: true, last4: "9f2c" };
  expect(fieldToChange(rest, refused, { auth: { type: "bearer", token: secret } })).toBe("auth.token");
  expect(fieldToChange(rest, refused, { headers: { "X-Key": secret } })).toBe("headers.X-Key");
  expect(fieldToChange(rest, refused, { streams: [{ auth: { token: secret } }] })).toBe(
    "streams.0.auth.token",
  );
  expect(fieldToChange(rest, refused, { auth: { type: "none" } })).toBeNull();
});
