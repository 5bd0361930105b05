"""A key ring in HashiCorp Vault or OpenBao: one secret of a KV version 2 engine, through hvac.

Address, token and certificates are those of Vault's own client: ``VAULT_ADDR``, ``VAULT_TOKEN``, ``VAULT_CACERT``,
``VAULT_NAMESPACE``. Every worker needs them too.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from headrace.errors import KeyRingError, PrerequisiteError

_FIELD = "ring"
_ATTEMPTS = 5


class VaultRing:
    """A secret ``MOUNT/PATH`` whose field ``ring`` holds the text of a ring file."""

    def __init__(self, place: str) -> None:
        self._mount, _, self._path = place.partition("/")
        self.reference = f"vault:{place}"

    def read(self) -> str | None:
        """The text, or None where there is no such secret."""
        return self._read()[0]

    def change(self, edit: Callable[[str | None], str | None]) -> None:
        """Written only over the version that was read (check-and-set); older ones are destroyed: they hold old secrets."""
        from hvac.exceptions import InvalidRequest

        for _ in range(_ATTEMPTS):
            text, version = self._read()
            changed = edit(text)
            if changed is None:
                return
            try:
                self._ask("create_or_update_secret", secret={_FIELD: changed}, cas=version)
            except InvalidRequest as error:
                if "check-and-set" in str(error):  # another change came between
                    continue
                raise self._failed(error) from None
            if version:
                self._ask("destroy_secret_versions", versions=list(range(1, version + 1)))
            return
        raise KeyRingError(f"key ring {self.reference} is being changed by others; try again")

    def _read(self) -> tuple[str | None, int]:
        """The text and the secret's version (0: there is none)."""
        answer = self._ask("read_secret_version", raise_on_deleted_version=True)
        if answer is None:
            return None, 0
        data = answer["data"]
        return data["data"].get(_FIELD), int(data["metadata"]["version"])

    def _ask(self, request: str, **arguments: Any) -> Any:
        """Vault's answer; None where there is no such secret. Raises InvalidRequest where Vault refuses what was written."""
        try:
            import hvac
            from hvac.exceptions import InvalidPath, InvalidRequest, VaultError
            from requests.exceptions import RequestException
        except ImportError:
            raise PrerequisiteError(
                "keys.ring is in Vault, and the package hvac is not installed: run pip install hvac."
            ) from None
        if not os.environ.get("VAULT_ADDR"):
            raise KeyRingError(
                f"key ring {self.reference} needs VAULT_ADDR and VAULT_TOKEN in the environment; set them"
            )
        client = hvac.Client(namespace=os.environ.get("VAULT_NAMESPACE"), timeout=10)
        try:
            return getattr(client.secrets.kv.v2, request)(path=self._path, mount_point=self._mount, **arguments)
        except InvalidRequest:
            raise
        except InvalidPath as error:
            if request == "read_secret_version":
                return None
            raise self._failed(error) from None
        except (VaultError, RequestException) as error:
            raise self._failed(error) from None
        finally:
            client.adapter.close()

    def _failed(self, error: Exception) -> KeyRingError:
        """The one sentence. An answer's own text is left out: it may quote what was sent."""
        return KeyRingError(
            f"Vault at {os.environ.get('VAULT_ADDR')} did not give or take key ring {self.reference} ({type(error).__name__}); "
            "check the address, the token and its policy"
        )
