import { describe, expect, it } from "vitest";
import { modelInWords } from "./model";

describe("language models", () => {
  it.each([
    ["openai:gpt-5", "gpt-5 (OpenAI)"],
    ["anthropic:claude-sonnet-4-5", "claude-sonnet-4-5 (Anthropic)"],
    ["google:gemini-2.5-pro", "gemini-2.5-pro (Google)"],
    ["openai_compatible:qwen3:8b", "qwen3:8b (OpenAI-compatible server)"],
    ["guided", "Guided mode, not a language model"],
    ["other:m", "other:m"],
    ["toString:m", "toString:m"],
  ])("names %s as %s", (label, words) => {
    expect(modelInWords(label)).toBe(words);
  });
});
