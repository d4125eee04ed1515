/** Returns the suggested name, or `PostgreSQL 2` if `PostgreSQL` is taken. Upper and lower case count as the same. */
export function proposedName(suggestion: string, takenNames: string[]): string {
  const taken = new Set(takenNames.map((name) => name.toLowerCase()));
  let name = suggestion;
  for (let number = 2; taken.has(name.toLowerCase()); number += 1) name = `${suggestion} ${number}`;
  return name;
}
