import { useQuery } from "@tanstack/react-query";
import { useRef, useState, type ChangeEvent, type FormEvent } from "react";
import { ActionRefused } from "@/api/problem";
import { agentStatusQuery } from "@/api/agent-status";
import { Button } from "@/components/button";
import { Field, TextField } from "@/components/field";
import { showError } from "@/components/toast";
import { ConversationView, type FirstStepsParts } from "./conversation-view";
import { useSendMessage } from "./queries";

const MAX_FILE = 2_000_000; // characters; the limit of the API
const MAX_CODE = 19_000; // characters that fit into a message
const PAGE = ""; // the agent needs no other page here

interface Props {
  conversationId: string | null;
  onStart: (conversationId: string) => void;
  /** Called with the newest code that the agent has written. */
  onCode: (code: string) => void;
  /** The code in the editor, if the user has changed it. */
  changedCode: string | null;
}

/** The agent beside the editor of a new source. It begins with the documentation of an API. */
export function SourceBuilderConversation({ conversationId, onStart, onCode, changedCode }: Props) {
  return (
    <ConversationView
      key={conversationId}
      conversationId={conversationId}
      page={PAGE}
      graph="source_builder"
      onStart={onStart}
      onCode={onCode}
      firstSteps={(parts) => <DocumentForm {...parts} />}
      notice={
        conversationId !== null &&
        changedCode !== null && <ChangedCode conversationId={conversationId} code={changedCode} />
      }
      autoFocus={conversationId !== null}
    />
  );
}

function DocumentForm({ send }: FirstStepsParts) {
  const [address, setAddress] = useState("");
  const [text, setText] = useState("");
  const sendDocument = (name: string, content: string) =>
    send("Make a source from the API documentation that I have added.", { name, content });

  function sendAddress(event: FormEvent) {
    event.preventDefault();
    if (address.trim()) send(`Make a source from the documentation at ${address.trim()}`);
  }
  return (
    <div className="grid gap-5 p-4">
      <div className="grid gap-1">
        <h2 className="text-base font-semibold">Which API do you want to read?</h2>
        <p className="text-soft">
          The agent reads its documentation, shows you a plan, writes the code and previews it. You approve
          each step. An OpenAPI or Swagger document or a Postman collection works best.
        </p>
      </div>
      <form className="grid gap-2" onSubmit={sendAddress}>
        <TextField
          label="Address of the documentation"
          type="url"
          autoFocus
          placeholder="https://api.example.com/openapi.json"
          maxLength={1000}
          value={address}
          onChange={({ target }) => setAddress(target.value)}
        />
        <div className="flex flex-wrap gap-2">
          <Button
            type="submit"
            look="primary"
            disabledReason={address.trim() ? null : "Enter an address first."}
          >
            Read it
          </Button>
          <FileButton onRead={sendDocument} />
        </div>
      </form>
      <details>
        <summary className="text-soft">Paste the documentation</summary>
        <form
          className="mt-3 grid gap-2"
          onSubmit={(event) => {
            event.preventDefault();
            if (text.trim()) sendDocument("Pasted documentation", text);
          }}
        >
          <Field label="Documentation">
            {(control) => (
              <textarea
                {...control}
                rows={8}
                maxLength={MAX_FILE}
                className="control font-mono text-[0.78rem]"
                value={text}
                onChange={({ target }) => setText(target.value)}
              />
            )}
          </Field>
          <div>
            <Button type="submit" disabledReason={text.trim() ? null : "Paste a text first."}>
              Read this text
            </Button>
          </div>
        </form>
      </details>
    </div>
  );
}

function FileButton({ onRead }: { onRead: (name: string, content: string) => void }) {
  const input = useRef<HTMLInputElement>(null);
  async function read({ target }: ChangeEvent<HTMLInputElement>) {
    const file = target.files?.[0];
    if (!file) return;
    target.value = ""; // so that the same file can be chosen again
    if (file.size > MAX_FILE)
      return showError(new ActionRefused("The file is larger than 2 MB. Choose a smaller one."));
    onRead(file.name, await file.text());
  }
  return (
    <>
      <input
        ref={input}
        type="file"
        aria-label="File with the documentation"
        accept=".json,.yaml,.yml,.txt,.md,.html,.htm"
        className="sr-only"
        tabIndex={-1}
        onChange={(event) => void read(event)}
      />
      <Button onClick={() => input.current?.click()}>Choose a file</Button>
    </>
  );
}

/** Offers to send the user's changes to the agent. Guided mode cannot continue with changed code. */
function ChangedCode({ conversationId, code }: { conversationId: string; code: string }) {
  const { data: status } = useQuery(agentStatusQuery);
  const send = useSendMessage(() => undefined);
  const reason = send.isPending
    ? "Sending"
    : code.length > MAX_CODE
      ? "The code is too long to be sent. Edit it in the approval instead."
      : null;
  if (!status) return null;
  return (
    <div className="flex flex-wrap items-center gap-x-3 gap-y-1 border-t border-line px-3 py-2 text-[0.8125rem] text-soft">
      {status.mode === "guided" ? (
        <p>Guided mode does not read the changes in the editor. Preview and save them there.</p>
      ) : (
        <>
          <p className="mr-auto">You have changed the code.</p>
          <Button
            size="small"
            disabledReason={reason}
            onClick={() =>
              send.mutate(
                { conversationId, page: PAGE, text: messageWith(code) },
                { onError: (error) => showError(error) },
              )
            }
          >
            Send the changes to the agent
          </Button>
        </>
      )}
    </div>
  );
}

function messageWith(code: string): string {
  return `I have changed the code. Continue with this code:\n\n\`\`\`python\n${code.trimEnd()}\n\`\`\``;
}
