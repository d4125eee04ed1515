"""Routes to set up, verify and remove the user's second factors.

Changes require the password and, if the user has a second factor, a session that has verified one.
"""

from __future__ import annotations

from dataclasses import asdict
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.auth import factors
from apps.orgs.http.views import AccountView
from apps.orgs.sign_in import own_factors
from apps.orgs.sign_in import serializers as forms
from apps.orgs.sign_in.views import PASSKEY_CHALLENGE_EXAMPLE
from apps.web.schema import operation
from apps.web.views import data_of

FACTORS_EXAMPLE = {
    "totp_since": "2026-11-22T09:00:00Z",
    "passkeys": [
        {
            "id": "01936c65-7081-7263-9b52-4e5f60718293",
            "name": "Laptop",
            "created_at": "2026-11-22T09:00:00Z",
            "last_used_at": None,
        }
    ],
    "recovery_codes": 10,
}
TOTP_EXAMPLE = {
    "challenge": "Q2hhbmdlIG1lIG9uY2UgdXNlZA",
    "secret": "JBSWY3DPEHPK3PXP",
    "uri": "otpauth://totp/ada%40example.com?secret=JBSWY3DPEHPK3PXP&issuer=Drover",
    "qr_svg": "<svg/>",
}
CODES_EXAMPLE = {"recovery_codes": ["123456789012", "210987654321"]}
PASSWORD_EXAMPLE = {"current_password": "correct horse battery"}


class Factors(AccountView):
    @operation(
        "auth_factors_get",
        tag="second factors",
        summary="List your second factors",
        answer=forms.Factors,
        example=FACTORS_EXAMPLE,
        account=True,
    )
    def get(self, request: Request) -> Response:
        user_factors = factors.load_factors(self.account.user)
        return Response(asdict(user_factors))


class FactorVerification(AccountView):
    @operation(
        "auth_factors_show",
        tag="second factors",
        summary="Verify a code in a session that began without a second factor",
        request=forms.Code,
        status=204,
        request_example={"code": "123456"},
        account=True,
    )
    def post(self, request: Request) -> Response:
        code = data_of(forms.Code, request)["code"]
        own_factors.verify_code(account=self.account, code=code)
        return Response(status=204)


class PasskeyVerification(AccountView):
    @operation(
        "auth_factors_show_passkey",
        tag="second factors",
        summary="Verify a passkey in a session that began without a second factor",
        request=forms.PasskeyResponse,
        status=204,
        request_example={"challenge": "Q2hhbmdlIG1lIG9uY2UgdXNlZA", "credential": {}},
        account=True,
    )
    def post(self, request: Request) -> Response:
        """Call `auth_passkey_begin` first, to get a challenge."""
        data = data_of(forms.PasskeyResponse, request)
        own_factors.verify_passkey(
            account=self.account, challenge=data["challenge"], credential=data["credential"]
        )
        return Response(status=204)


class Totp(AccountView):
    @operation(
        "auth_totp_begin",
        tag="second factors",
        summary="Get a new secret for an authenticator app; it takes effect with its first code",
        request=forms.Reauthentication,
        answer=forms.TotpSetup,
        example=TOTP_EXAMPLE,
        request_example=PASSWORD_EXAMPLE,
        account=True,
    )
    def post(self, request: Request) -> Response:
        password = data_of(forms.Reauthentication, request)["current_password"]
        return Response(own_factors.begin_totp(account=self.account, password=password))


class TotpRemoval(AccountView):
    @operation(
        "auth_totp_remove",
        tag="second factors",
        summary="Remove the authenticator app; every other session ends",
        request=forms.Reauthentication,
        status=204,
        request_example=PASSWORD_EXAMPLE,
        account=True,
    )
    def post(self, request: Request) -> Response:
        password = data_of(forms.Reauthentication, request)["current_password"]
        own_factors.remove_totp(account=self.account, password=password)
        return Response(status=204)


class TotpConfirmation(AccountView):
    @operation(
        "auth_totp_confirm",
        tag="second factors",
        summary="Confirm the authenticator app with its first code; every other session ends",
        request=forms.TotpConfirmation,
        answer=forms.RecoveryCodes,
        errors=(410,),
        example=CODES_EXAMPLE,
        request_example={"challenge": "Q2hhbmdlIG1lIG9uY2UgdXNlZA", "code": "123456"},
        account=True,
    )
    def post(self, request: Request) -> Response:
        data = data_of(forms.TotpConfirmation, request)
        codes = factors.confirm_totp(
            user=self.account.user,
            challenge=data["challenge"],
            code=data["code"].replace(" ", ""),
            session=self.account.session,
        )
        return Response({"recovery_codes": codes})


class RecoveryCodes(AccountView):
    @operation(
        "auth_recovery_codes_renew",
        tag="second factors",
        summary="Replace the recovery codes",
        request=forms.Reauthentication,
        answer=forms.RecoveryCodes,
        errors=(404,),
        example=CODES_EXAMPLE,
        request_example=PASSWORD_EXAMPLE,
        account=True,
    )
    def post(self, request: Request) -> Response:
        password = data_of(forms.Reauthentication, request)["current_password"]
        codes = own_factors.replace_recovery_codes(account=self.account, password=password)
        return Response({"recovery_codes": codes})


class Passkeys(AccountView):
    @operation(
        "auth_passkeys_begin",
        tag="second factors",
        summary="Get the browser's options for creating a passkey",
        request=forms.Reauthentication,
        answer=forms.PasskeyChallenge,
        errors=(409,),
        example=PASSKEY_CHALLENGE_EXAMPLE,
        request_example=PASSWORD_EXAMPLE,
        account=True,
    )
    def post(self, request: Request) -> Response:
        password = data_of(forms.Reauthentication, request)["current_password"]
        return Response(own_factors.begin_passkey(account=self.account, password=password))


class PasskeyConfirmation(AccountView):
    @operation(
        "auth_passkeys_confirm",
        tag="second factors",
        summary="Save the passkey that the browser created; every other session ends",
        request=forms.NewPasskey,
        answer=forms.RecoveryCodes,
        status=201,
        errors=(410,),
        example=CODES_EXAMPLE,
        request_example={
            "challenge": "Q2hhbmdlIG1lIG9uY2UgdXNlZA",
            "name": "Laptop",
            "credential": {},
        },
        account=True,
    )
    def post(self, request: Request) -> Response:
        data = data_of(forms.NewPasskey, request)
        codes = factors.add_passkey(
            user=self.account.user,
            challenge=data["challenge"],
            name=data["name"],
            credential=data["credential"],
            session=self.account.session,
        )
        return Response({"recovery_codes": codes}, status=201)


class PasskeyRemoval(AccountView):
    @operation(
        "auth_passkeys_remove",
        tag="second factors",
        summary="Remove a passkey; every other session ends",
        request=forms.Reauthentication,
        status=204,
        errors=(404,),
        request_example=PASSWORD_EXAMPLE,
        account=True,
    )
    def post(self, request: Request, pk: UUID) -> Response:
        password = data_of(forms.Reauthentication, request)["current_password"]
        own_factors.remove_passkey(account=self.account, password=password, passkey_id=pk)
        return Response(status=204)
