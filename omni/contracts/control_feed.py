"""How a gateway asks the console for keys and tenants while Redis is away.

The body is `{"keys": {tenant id: [SHA-256 of a key, …]}}`; the answer `{"keys": {SHA-256: KeySnapshot or null},
"tenants": {tenant id: TenantSnapshot or null}}`. The header is the hex HMAC-SHA256 of the body with a secret that only
the two have.
"""

from __future__ import annotations

FEED_PATH = "/internal/snapshots"
SIGNATURE_HEADER = "omni-signature"
KEYS_LIMIT = 2_000
"""How many keys are asked for at once: those that were used last."""
