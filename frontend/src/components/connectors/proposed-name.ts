/** Returns the name of the kind, or `PostgreSQL 2` if `PostgreSQL` is taken. Upper and lower case count as the same. */
export function proposedName(kindName: string, takenNames: string[]): string {
  const taken = new Set(takenNames.map((name) => name.toLowerCase()));
  let name = kindName;
  for (let number = 2; taken.has(name.toLowerCase()); number += 1) name = `${kindName} ${number}`;
  return name;
}
