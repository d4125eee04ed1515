import { useEffect } from "react";
import { fieldsOf, shapeOf, type Schema } from "@/components/schema-form/schema";

/** Moves the focus to the control of a setting when its form appears, for links that name the setting to change. */
export function useFocusedSetting(name: string | undefined, schema: Schema | null): void {
  useEffect(() => {
    const field = schema && fieldsOf(schema, schema).find((each) => each.name === name);
    if (!schema || !field) return;
    const { title } = shapeOf(field.name, field.schema, schema);
    const label = [...document.querySelectorAll("main label")].find(({ textContent }) =>
      textContent.trim().startsWith(title),
    );
    const control = label instanceof HTMLLabelElement ? document.getElementById(label.htmlFor) : null;
    control?.focus();
    control?.scrollIntoView({ block: "center" });
  }, [name, schema]);
}
