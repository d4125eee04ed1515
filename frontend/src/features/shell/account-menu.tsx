import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { api, unwrap } from "@/api/client";
import { endSession } from "@/api/session";
import { buttonClasses } from "@/components/button";
import { classNames } from "@/components/class-names";
import { MoonIcon, ScreenIcon, SunIcon, UserIcon } from "@/components/icons";
import { Menu, MenuChoice, MenuItem, MenuSeparator } from "@/components/menu";
import { Name } from "@/components/name";
import { showError } from "@/components/toast";
import { useSession } from "@/session/use-session";
import { saveTheme, storedTheme, type Theme } from "@/theme";

/** Who is logged in, the theme, and the log-out. */
export function AccountMenu() {
  const session = useSession();
  const [theme, setTheme] = useState(storedTheme);
  const logout = useMutation({
    mutationFn: () =>
      unwrap(api.POST("/api/v1/auth/logout", { params: { header: { "X-Requested-With": "drover" } } })),
    onSuccess: endSession,
    onError: (error) => showError(error),
  });
  if (!session) return null;
  const { user, organization, version } = session;
  return (
    <Menu
      label="Your account"
      trigger={
        <button type="button" className={classNames(buttonClasses("quiet"), "w-full gap-2.5! max-sm:px-1!")}>
          <span
            aria-hidden="true"
            className="grid size-6 shrink-0 place-items-center rounded-full bg-line text-xs font-semibold text-ink"
          >
            {initials(user.name || user.email)}
          </span>
          <span className="sr-only">Account of </span>
          <Name cut className="flex-1 max-lg:sr-only">
            {user.name || user.email}
          </Name>
        </button>
      }
    >
      <div className="px-2.5 py-1.5">
        <p className="max-w-72 font-medium">
          <Name>{user.name}</Name>
        </p>
        <p className="max-w-72 text-[0.8125rem] text-faint">
          <Name>{user.email}</Name>
        </p>
        <p className="max-w-72 text-[0.8125rem] text-faint">
          {organization && (
            <>
              <Name>{organization.name}</Name>, {organization.role}
            </>
          )}
        </p>
      </div>
      <MenuSeparator />
      <MenuChoice<Theme>
        label="Theme"
        value={theme}
        onChange={(newTheme) => {
          saveTheme(newTheme);
          setTheme(newTheme);
        }}
        choices={[
          {
            value: "system",
            label: (
              <>
                <ScreenIcon className="text-faint" /> System
              </>
            ),
          },
          {
            value: "light",
            label: (
              <>
                <SunIcon className="text-faint" /> Light
              </>
            ),
          },
          {
            value: "dark",
            label: (
              <>
                <MoonIcon className="text-faint" /> Dark
              </>
            ),
          },
        ]}
      />
      <MenuSeparator />
      <MenuItem onSelect={() => logout.mutate()}>
        <UserIcon className="text-faint" /> Log out
      </MenuItem>
      <MenuSeparator />
      <p className="px-2.5 py-1.5 text-[0.8125rem] text-faint">Drover {version}</p>
    </Menu>
  );
}

function initials(name: string): string {
  const words = name.split(/[\s@.]+/).filter(Boolean);
  return `${words[0]?.[0] ?? "?"}${words.length > 1 ? words[1]![0] : ""}`.toUpperCase();
}
