const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Whether the text is an id of an object. All ids of the API are UUIDs. */
export function isId(text: string): boolean {
  return UUID.test(text);
}
