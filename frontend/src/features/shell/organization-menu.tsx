import { useMutation } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import { buttonClasses } from "@/components/button";
import { classNames } from "@/components/class-names";
import { BuildingIcon, ChevronIcon } from "@/components/icons";
import { Menu, MenuChoice } from "@/components/menu";
import { Name } from "@/components/name";
import { showError } from "@/components/toast";
import { useEnterOrganization } from "@/session/use-enter-organization";
import { useSession } from "@/session/use-session";

/** The name of the organization, or a menu of the user's organizations if there are several. */
export function OrganizationMenu() {
  const session = useSession();
  const switchOrganization = useMutation({
    mutationFn: (org: string) => unwrap(api.POST("/api/v1/auth/switch", { body: { org } })),
    onSuccess: useEnterOrganization(),
    onError: (error) => showError(error),
  });
  if (!session?.organization) return null;
  const { organization, organizations = [] } = session;
  if (organizations.length < 2) {
    return (
      <Name cut className="font-semibold max-lg:max-w-28">
        {organization.name}
      </Name>
    );
  }
  return (
    <Menu
      label="Organizations"
      trigger={
        <button
          type="button"
          className={classNames(buttonClasses("quiet"), "px-1.5! text-ink! max-sm:px-0.5!")}
        >
          <Name cut className="max-w-[5rem] font-semibold lg:max-w-[8.5rem]">
            {organization.name}
          </Name>
          <ChevronIcon className="shrink-0 text-faint" />
        </button>
      }
    >
      <MenuChoice
        label="Organization"
        value={organization.id}
        onChange={(org) => org !== organization.id && switchOrganization.mutate(org)}
        choices={organizations.map(({ id, name }) => ({
          value: id,
          label: (
            <>
              <BuildingIcon className="shrink-0 text-faint" />
              <Name cut>{name}</Name>
            </>
          ),
        }))}
      />
    </Menu>
  );
}
