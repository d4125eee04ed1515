export const PROVIDER_NAMES = {
  openai: "OpenAI",
  anthropic: "Anthropic",
  google: "Google",
  openai_compatible: "OpenAI-compatible server",
};

/** Names the model of a label `provider:model`, such as "gpt-5 (OpenAI)". The name of a model may contain colons. */
export function modelInWords(label: string): string {
  if (label === "guided") return "Guided mode, not a language model";
  const [provider, model] = split(label);
  return isProvider(provider) ? `${model} (${PROVIDER_NAMES[provider]})` : label;
}

function split(label: string): [string, string] {
  const colon = label.indexOf(":");
  return [label.slice(0, colon), label.slice(colon + 1)];
}

function isProvider(name: string): name is keyof typeof PROVIDER_NAMES {
  return Object.hasOwn(PROVIDER_NAMES, name);
}
