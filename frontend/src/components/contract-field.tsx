import { CONTRACT_HINTS, CONTRACTS, type Contract } from "@/format/modes";
import { ChoiceField } from "./choice-field";

interface Props {
  contract: Contract;
  error?: string;
  onChange: (contract: Contract) => void;
}

/** What happens to new columns of a stream, and to values of another type. */
export function ContractField({ contract, error, onChange }: Props) {
  return (
    <ChoiceField
      label="New and changed columns"
      hint={CONTRACT_HINTS[contract]}
      error={error}
      words={CONTRACTS}
      value={contract}
      onChange={onChange}
    />
  );
}
