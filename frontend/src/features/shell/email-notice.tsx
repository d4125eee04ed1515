import { useMutation } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import { Button } from "@/components/button";
import { showError, showSuccess } from "@/components/toast";
import { useSession } from "@/session/use-session";

/** Says that the user's address is not confirmed, and what to do. */
export function EmailNotice() {
  const user = useSession()?.user;
  const resend = useMutation({
    mutationFn: () => unwrap(api.POST("/api/v1/auth/email/send")),
    onSuccess: () => showSuccess("The e-mail was sent."),
    onError: (error) => showError(error),
  });
  if (!user || user.email_verified !== false) return null;
  return (
    <div className="flex flex-wrap items-center gap-x-3 gap-y-1 border-b border-line bg-wait-wash px-4 py-2 md:px-6">
      <p role="status" className="min-w-0 wrap-anywhere text-wait">
        Confirm your e-mail address: follow the link that was sent to {user.email}.
      </p>
      <Button
        size="small"
        disabledReason={resend.isPending ? "Sending" : resend.isSuccess ? "The e-mail was sent" : null}
        onClick={() => resend.mutate()}
      >
        Send it again
      </Button>
    </div>
  );
}
