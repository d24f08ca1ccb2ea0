"""T7: whatever is posted, held, captured, released and refused, the books add up and the database keeps them so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, TypeVar
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from omni.domains.ledger import facade as ledger
from omni.domains.ledger.contracts import Account, Entry, Hold, Posted, Transaction
from omni.foundation.db.roles import DatabaseAddress, Role
from omni.foundation.db.sessions import Database, WriteSession, constraint_name
from omni.foundation.db.system_session import SystemDatabase
from omni.kit.errors import Conflict, Unprocessable
from omni.testing.control_plane import ControlPlane
from tests.domains.people import People, Person

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
T = TypeVar("T")


@pytest.fixture
async def owner(people: People) -> Person:
    return await people.owner()


def moved(
    nanos: int, debit: Account, credit: Account, reference: str | None = None, currency: str = "EUR"
) -> Transaction:
    entries = (Entry(debit, nanos), Entry(credit, -nanos))
    return Transaction(currency, "test", reference or uuid4().hex, NOW, entries)


async def test_a_transaction_is_posted_once(plane: ControlPlane, owner: Person) -> None:
    invoice = moved(100, Account.RECEIVABLE, Account.REVENUE, "INV-1")
    async with plane.database.write(owner.tenant_id) as session:
        first = await ledger.post(session, invoice)
        assert await ledger.post(session, invoice) == first
        with pytest.raises(Conflict, match="another transaction for test INV-1"):
            await ledger.post(session, moved(101, Account.RECEIVABLE, Account.REVENUE, "INV-1"))
        back = await ledger.reverse(session, first, "reversal", "INV-1", NOW)
        assert await ledger.find(session, "reversal", "INV-1") == back
        assert {each.amount_nanos for each in await ledger.balances(session)} == {0}


async def test_posting_at_once_counts_once(plane: ControlPlane, owner: Person) -> None:
    async def post() -> UUID:
        async with plane.database.write(owner.tenant_id) as session:
            return (await ledger.post(session, moved(5, Account.CASH, Account.WALLET, "top-up"))).transaction_id

    assert len(set(await asyncio.gather(*(post() for _ in range(20))))) == 1
    async with plane.database.read(owner.tenant_id) as session:
        assert {(b.account, b.amount_nanos) for b in await ledger.balances(session)} == {
            (Account.CASH, 5), (Account.WALLET, -5),
        }  # fmt: skip


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ((Entry(Account.CASH, 1), Entry(Account.WALLET, -2)), "add up to -1"),
        ((Entry(Account.CASH, 0), Entry(Account.WALLET, 0)), "an entry of nothing"),
        ((Entry(Account.CASH, 1),), "at least two entries"),
    ],
)
async def test_what_does_not_balance_is_refused(
    plane: ControlPlane, owner: Person, entries: tuple[Entry, ...], said: str
) -> None:
    async with plane.database.write(owner.tenant_id) as session:
        with pytest.raises(ValueError, match=said):
            await ledger.post(session, Transaction("EUR", "test", "x", NOW, entries))


async def test_the_database_refuses_entries_that_do_not_add_up(plane: ControlPlane, owner: Person) -> None:
    async def one_entry_too_many() -> None:
        async with plane.database.write(owner.tenant_id) as session:
            posted = await ledger.post(session, moved(1, Account.CASH, Account.WALLET))
            row = {"t": owner.tenant_id, "id": posted.transaction_id}
            await session.execute(text("insert into ledger_entries values (:t, :id, 9, 'cash', 'EUR', 1)"), row)

    with pytest.raises(IntegrityError) as refused:
        await one_entry_too_many()
    assert constraint_name(refused.value) == "ledger_transaction_balances"


@pytest.mark.parametrize("role", [None, Role.APP])
@pytest.mark.parametrize(
    "statement",
    [
        "update ledger_entries set amount_nanos = amount_nanos + 1",
        "delete from ledger_entries",
        "truncate ledger_entries",
        "update ledger_transactions set reference = 'y'",
        "delete from ledger_transactions",
        "truncate ledger_transactions cascade",
    ],
)
async def test_what_is_in_the_books_stays(
    plane: ControlPlane, owner: Person, database_address: DatabaseAddress, role: Role | None, statement: str
) -> None:
    """Not even the database's owner changes it."""
    async with plane.database.write(owner.tenant_id) as session:
        await ledger.post(session, moved(1, Account.CASH, Account.WALLET))
    engine = create_async_engine(database_address.url(role) if role else database_address.url(), poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.execute(text("select set_config('app.tenant_id', :t, true)"), {"t": str(owner.tenant_id)})
        with pytest.raises(DBAPIError, match="append-only" if role is None else "permission denied"):
            await connection.execute(text(statement))
    await engine.dispose()


async def test_verify_names_a_balance_that_is_off(
    plane: ControlPlane, owner: Person, system_database: SystemDatabase
) -> None:
    async with plane.database.write(owner.tenant_id) as session:
        await ledger.post(session, moved(7, Account.CASH, Account.WALLET))
        await ledger.hold(session, Account.WALLET, "EUR", 3, NOW)
        parameters = {"t": owner.tenant_id}
        change = "update ledger_balances set amount_nanos = 8, held_nanos = 4 where tenant_id = :t and account = '{}'"
        await session.execute(text(change.format("cash")), parameters)
    async with system_database.session() as system:
        found = [each for each in await ledger.verify(system) if each.tenant_id == owner.tenant_id]
    assert {(each.check, each.left, each.right) for each in found} == {
        ("ledger entries = balances", 7, 8), ("open holds = held balances", 0, 4),
    }  # fmt: skip
    async with plane.database.write(owner.tenant_id) as session:
        undo = "update ledger_balances set amount_nanos = 7, held_nanos = 0 where tenant_id = :t and account = 'cash'"
        await session.execute(text(undo), parameters)


async def test_members_read_the_books_without_what_providers_charge(plane: ControlPlane, owner: Person) -> None:
    async with plane.database.write(owner.tenant_id) as session:
        for number in range(3):
            await ledger.post(session, moved(100 + number, Account.RECEIVABLE, Account.REVENUE, f"INV-{number}"))
        await ledger.post(session, moved(60, Account.PROVIDER_COST, Account.PROVIDER_PAYABLE))
    balances = (await owner.get("/api/tenants/{t}/ledger/balances")).json()["data"]
    assert {(each["account"], each["amount_nanos"]) for each in balances} == {("receivable", 303), ("revenue", -303)}
    path, pages = "/api/tenants/{t}/ledger/transactions?account=revenue&limit=2", []
    page = (await owner.get(path)).json()
    pages.append(page)
    pages.append((await owner.get(f"{path}&after={page['next_after']}")).json())
    assert [[each["reference"] for each in page["data"]] for page in pages] == [["INV-0", "INV-1"], ["INV-2"]]
    assert pages[1]["next_after"] is None
    everything = (await owner.get("/api/tenants/{t}/ledger/transactions")).json()["data"]
    assert len(everything) == 3


# --- the machine ---


class _Undo(Exception):
    """Ends a transaction without a trace."""


@asynccontextmanager
async def undone(database: Database, tenant_id: UUID) -> AsyncIterator[WriteSession]:
    with suppress(_Undo):
        async with database.write(tenant_id) as session:
            yield session
            raise _Undo


class Books(RuleBasedStateMachine):
    """The ledger beside a model of it that is two dictionaries. Each story is a transaction that is undone."""

    address: ClassVar[DatabaseAddress]
    tenant_id: ClassVar[UUID]
    steps: ClassVar[int] = 0
    posted = Bundle("posted")
    held = Bundle("held")

    def __init__(self) -> None:
        super().__init__()
        self.balances: dict[tuple[Account, str], int] = {}
        self.held_nanos: dict[tuple[Account, str], int] = {}
        self.loop = asyncio.new_event_loop()
        self.database = Database(create_async_engine(self.address.url(Role.APP), poolclass=NullPool))
        self.opened = undone(self.database, self.tenant_id)
        self.session = self.do(self.opened.__aenter__())

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    async def refused(self, work: Coroutine[Any, Any, object]) -> Exception | None:
        """Why the database or the ledger would not do it."""
        try:
            async with self.session.savepoint():
                await work
        except (Conflict, Unprocessable, ValueError, DBAPIError) as error:
            return error
        return None

    def apply(self, transaction: Transaction) -> None:
        for entry in transaction.entries:
            key = (entry.account, transaction.currency)
            self.balances[key] = self.balances.get(key, 0) + entry.amount_nanos

    @initialize()
    def begin(self) -> None:
        self.do(self.session.execute(text("set constraints all immediate")))

    @rule(
        target=posted,
        amounts=st.dictionaries(
            st.sampled_from(Account), st.integers(-(10**24), 10**24).filter(bool), min_size=1, max_size=4
        ),
        currency=st.sampled_from(["EUR", "JPY", "BHD"]),
    )
    def post(self, amounts: dict[Account, int], currency: str) -> object:
        rest = -sum(amounts.values())
        entries = ledger.entries(*amounts.items(), (Account.CASH, rest))
        if len(entries) < 2:
            return multiple()
        transaction = Transaction(currency, "story", uuid4().hex, NOW, entries)
        posted = self.do(ledger.post(self.session, transaction))
        self.apply(transaction)
        return posted

    @rule(before=posted)
    def post_again(self, before: Posted) -> None:
        assert self.do(ledger.post(self.session, before.transaction)) == before

    @rule(before=posted)
    def post_another_under_the_same_reference(self, before: Posted) -> None:
        there = before.transaction
        doubled = tuple(Entry(entry.account, 2 * entry.amount_nanos) for entry in there.entries)
        other = Transaction(there.currency, there.kind, there.reference, NOW, doubled)
        assert isinstance(self.do(self.refused(ledger.post(self.session, other))), Conflict)

    @rule(before=posted, statement=st.sampled_from(["update {} set {}", "delete from {}"]))
    def tamper(self, before: Posted, statement: str) -> None:
        written = statement.format("ledger_entries", "amount_nanos = 1")
        tampering = self.session.execute(
            text(written + " where tenant_id = :t and transaction_id = :id"),
            {"t": self.tenant_id, "id": before.transaction_id},
        )
        assert isinstance(self.do(self.refused(tampering)), DBAPIError)

    def available(self, account: Account, currency: str) -> int:
        balance = self.balances.get((account, currency), 0)
        there = -balance if account in (Account.WALLET, Account.PAYOUT) else balance
        return there - self.held_nanos.get((account, currency), 0)

    @rule(
        target=held,
        account=st.sampled_from([Account.WALLET, Account.CASH, Account.PAYOUT]),
        currency=st.sampled_from(["EUR", "JPY"]),
        share=st.fractions(0, 2),
        minutes=st.integers(1, 60),
    )
    def hold(self, account: Account, currency: str, share: Any, minutes: int) -> object:
        available = self.available(account, currency)
        amount = int(available * share)
        until = NOW + timedelta(minutes=minutes)
        if not 0 < amount <= available:
            refusal = self.do(self.refused(ledger.hold(self.session, account, currency, amount, until)))
            assert isinstance(refusal, Unprocessable)
            return multiple()
        made = self.do(ledger.hold(self.session, account, currency, amount, until))
        key = (account, currency)
        self.held_nanos[key] = self.held_nanos.get(key, 0) + amount
        return made

    @rule(hold=consumes(held), share=st.fractions(0, 2))
    def capture(self, hold: Hold, share: Any) -> None:
        amount = int(hold.amount_nanos * share)
        taken = amount if hold.account in (Account.WALLET, Account.PAYOUT) else -amount
        entries = (Entry(hold.account, taken), Entry(Account.REVENUE, -taken))
        transaction = Transaction(hold.currency, "capture", uuid4().hex, NOW, entries)
        capturing = ledger.capture(self.session, hold.hold_id, transaction)
        if 0 < amount <= hold.amount_nanos and self.is_open(hold):
            self.do(capturing)
            self.apply(transaction)
            self.resolved(hold)
        else:
            assert isinstance(self.do(self.refused(capturing)), Conflict | Unprocessable)
            if self.is_open(hold):
                self.do(ledger.release(self.session, hold.hold_id))
                self.resolved(hold)
        assert isinstance(self.do(self.refused(ledger.release(self.session, hold.hold_id))), Conflict), "resolved once"

    @rule(minutes=st.integers(0, 60))
    def expire(self, minutes: int) -> None:
        now = NOW + timedelta(minutes=minutes)
        due = [each for each in self.open_holds.values() if each.expires_at <= now]
        assert self.do(ledger.expire_holds(self.session, now)) == len(due)
        for each in due:
            self.resolved(each)

    @property
    def open_holds(self) -> dict[UUID, Hold]:
        statement = text("select * from ledger_holds where tenant_id = :t and state = 'open'")
        rows = self.do(self.session.all(statement, {"t": self.tenant_id}))
        return {
            row["id"]: Hold(
                row["id"], Account(row["account"]), row["currency"], int(row["amount_nanos"]), row["expires_at"], "open"
            )
            for row in rows
        }

    def is_open(self, hold: Hold) -> bool:
        return hold.hold_id in self.open_holds

    def resolved(self, hold: Hold) -> None:
        self.held_nanos[hold.account, hold.currency] -= hold.amount_nanos

    @invariant()
    def the_balances_are_the_models(self) -> None:
        type(self).steps += 1
        found = {
            (b.account, b.currency): (b.amount_nanos, b.held_nanos) for b in self.do(ledger.balances(self.session))
        }
        assert found == {key: (nanos, self.held_nanos.get(key, 0)) for key, nanos in self.balances.items()}
        for currency in {currency for _, currency in self.balances}:
            assert sum(nanos for (_, of), nanos in self.balances.items() if of == currency) == 0

    def teardown(self) -> None:
        self.do(self.opened.__aexit__(None, None, None))
        self.do(self.database.close())
        self.loop.close()


@pytest.fixture
def books(database_address: DatabaseAddress, owner: Person) -> type[Books]:
    Books.address, Books.tenant_id, Books.steps = database_address, owner.tenant_id, 0
    return Books


async def test_ten_thousand_steps_keep_the_books(books: type[Books]) -> None:
    stories = settings(
        max_examples=220, stateful_step_count=50, deadline=None, database=None, derandomize=True,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    await asyncio.to_thread(run_state_machine_as_test, books, settings=stories)
    assert books.steps >= 10_000
