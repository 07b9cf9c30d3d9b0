import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertoken.accounts.throttle import (
    DAY_MS,
    MINUTE_MS,
    SECOND_MS,
    UNKNOWN_NETWORK,
    Bucket,
    Kind,
    Limit,
    Limits,
    Verdict,
    after_attempt,
    after_success,
    decide,
    failures_left,
    network_of,
)
from evertoken.errors import ConfigurationError

NOW = 1_800_000_000_000
LIMITS = Limits()


class Door:
    """Sign-ins against a store that does what the docstrings ask of it, with a clock that is moved by hand."""

    def __init__(self) -> None:
        self.now_ms = NOW
        self.buckets: dict[tuple[Kind, str], Bucket] = {}
        self.known: set[tuple[str, str]] = set()

    def keys(self, account: str, address: str) -> dict[Kind, tuple[Kind, str]]:
        return {
            Kind.PAIR: (Kind.PAIR, f"{account} {address}"),
            Kind.ACCOUNT: (Kind.ACCOUNT, account),
            Kind.ADDRESS: (Kind.ADDRESS, address),
        }

    def verdict(self, account: str, address: str) -> Verdict:
        return decide(
            {kind: self.buckets.get(key) for kind, key in self.keys(account, address).items()},
            now_ms=self.now_ms,
            limits=LIMITS,
            address_is_known=(account, address) in self.known,
        )

    def begin(self, account: str, address: str) -> Verdict:
        verdict = self.verdict(account, address)
        if verdict.allowed:
            for kind, key in self.keys(account, address).items():
                self.buckets[key] = after_attempt(self.buckets.get(key), now_ms=self.now_ms, limit=LIMITS.of(kind))
        return verdict

    def fail(self, account: str, address: str) -> Verdict:
        return self.begin(account, address)

    def succeed(self, account: str, address: str) -> Verdict:
        verdict = self.begin(account, address)
        if verdict.allowed:
            self.finish(account, address)
        return verdict

    def finish(self, account: str, address: str) -> None:
        keys = self.keys(account, address)
        self.buckets.pop(keys[Kind.PAIR], None)
        self.buckets.pop(keys[Kind.ACCOUNT], None)
        left = after_success(self.buckets.pop(keys[Kind.ADDRESS]), limit=LIMITS.address)
        if left is not None:
            self.buckets[keys[Kind.ADDRESS]] = left
        self.known.add((account, address))


@pytest.fixture
def door() -> Door:
    return Door()


def guesses_until(door: Door, end_ms: int, targets: "list[tuple[str, str]]") -> int:
    """How often a guesser gets through who tries each target in turn as soon as it is let."""
    guesses = 0
    while door.now_ms < end_ms:
        verdicts = [door.fail(account, address) for account, address in targets]
        guesses += sum(verdict.allowed for verdict in verdicts)
        if not any(verdict.allowed for verdict in verdicts):
            door.now_ms += min(verdict.retry_after_ms for verdict in verdicts)
    return guesses


class TestStories:
    def test_a_few_mistakes_cost_nothing(self, door: Door) -> None:
        """Somebody who mistypes a password five times is not slowed down, and signing in clears the slate."""
        for _ in range(5):
            assert door.fail("ann", "home").allowed
        assert door.succeed("ann", "home").allowed
        for _ in range(5):
            assert door.fail("ann", "home").allowed

    def test_brute_force_on_one_account_is_slowed_down(self, door: Door) -> None:
        """A guesser at one account from one address waits 1 s, 2 s, 4 s and so on, at most 15 minutes."""
        for _ in range(6):
            assert door.fail("ann", "evil").allowed
        waits = []
        for _ in range(12):
            verdict = door.fail("ann", "evil")
            assert (verdict.allowed, verdict.slowed_by) == (False, Kind.PAIR)
            waits.append(verdict.retry_after_ms)
            door.now_ms += verdict.retry_after_ms
            assert door.fail("ann", "evil").allowed
        assert waits == [SECOND_MS * 2**step for step in range(10)] + [15 * MINUTE_MS] * 2

    def test_a_refused_attempt_does_not_prolong_the_wait(self, door: Door) -> None:
        """Knocking while the door is shut does not keep it shut."""
        for _ in range(8):
            door.fail("ann", "evil")
        first = door.verdict("ann", "evil").retry_after_ms
        for _ in range(100):
            assert not door.fail("ann", "evil").allowed
        door.now_ms += first
        assert door.verdict("ann", "evil").allowed

    def test_a_hundred_guesses_at_once_are_a_hundred_failures(self, door: Door) -> None:
        """Attempts count before the password is verified, so sending them all at once gains nothing."""
        assert sum(door.begin("ann", "evil").allowed for _ in range(100)) == 6

    @pytest.mark.parametrize(
        ("addresses", "first_day", "next_day"),
        [(["evil"], 110, 96), ([f"evil{number}" for number in range(40)], 125, 96)],
    )
    def test_one_account_is_guessed_at_about_a_hundred_times_a_day(
        self, door: Door, addresses: list[str], first_day: int, next_day: int
    ) -> None:
        """Against one account a guesser gets about a hundred tries a day, from however many addresses."""
        targets = [("ann", address) for address in addresses]
        assert guesses_until(door, NOW + DAY_MS, targets) == first_day
        assert guesses_until(door, NOW + 2 * DAY_MS, targets) == pytest.approx(next_day, abs=1)

    def test_the_hundredth_guess_comes_after_seventeen_hours(self, door: Door) -> None:
        """NIST's hundred failures in a row are reached after some seventeen hours of trying, as the docstring says."""
        targets = [("ann", f"evil{number}") for number in range(40)]
        assert guesses_until(door, NOW + 17 * 60 * MINUTE_MS, targets) < 100
        assert guesses_until(door, NOW + 18 * 60 * MINUTE_MS, targets) > 0
        assert guesses_until(Door(), NOW + 18 * 60 * MINUTE_MS, targets) > 100

    def test_spraying_a_thousand_accounts_from_one_address_is_slowed_down(self, door: Door) -> None:
        """One password tried on a thousand accounts from one address gets through to two hundred of them at once."""
        accounts = [f"user{number}" for number in range(1000)]
        verdicts = [door.fail(account, "evil") for account in accounts]
        assert sum(verdict.allowed for verdict in verdicts) == 201
        assert verdicts[-1].slowed_by is Kind.ADDRESS
        assert door.verdict("user999", "elsewhere").allowed
        targets = [(account, "evil") for account in accounts[-100:]]
        assert guesses_until(door, NOW + DAY_MS, targets) == 496 - 201
        assert guesses_until(door, NOW + 2 * DAY_MS, targets) == pytest.approx(288, abs=1)

    def test_an_attacker_elsewhere_does_not_keep_the_owner_out(self, door: Door) -> None:
        """However hard others guess at an account, its owner signs in at once from where they signed in before."""
        door.succeed("ann", "home")
        guesses_until(door, NOW + DAY_MS, [("ann", f"evil{number}") for number in range(40)])
        assert door.fail("ann", "another").allowed
        assert door.verdict("ann", "cafe").slowed_by is Kind.ACCOUNT
        assert door.succeed("ann", "home").allowed

    def test_the_owner_gets_in_from_a_new_address_within_the_longest_wait(self, door: Door) -> None:
        """Under attack, an owner on the road waits at most a quarter of an hour: nobody is locked out for good."""
        guesses_until(door, NOW + 3 * DAY_MS, [("ann", f"evil{number}") for number in range(40)])
        assert door.fail("ann", "another").allowed
        verdict = door.verdict("ann", "cafe")
        assert 0 < verdict.retry_after_ms <= 15 * MINUTE_MS
        door.now_ms += verdict.retry_after_ms
        assert door.succeed("ann", "cafe").allowed

    def test_a_known_address_is_still_slowed_down_itself(self, door: Door) -> None:
        """Somebody who shares the owner's address does not get to guess without limit."""
        door.succeed("ann", "home")
        assert sum(door.fail("ann", "home").allowed for _ in range(100)) == 6

    def test_an_own_account_does_not_wash_an_address_clean(self, door: Door) -> None:
        """An attacker with an account of their own gains nothing by signing in to it between guesses."""
        guesses = 0
        while door.now_ms < NOW + DAY_MS:
            allowed = [door.fail(f"victim{guesses}", "evil").allowed, door.succeed("mallory", "evil").allowed]
            guesses += allowed[0]
            if not any(allowed):
                door.now_ms += door.verdict("mallory", "evil").retry_after_ms
        assert guesses <= 496

    def test_successes_at_a_shared_address_do_not_make_each_other_wait(self, door: Door) -> None:
        """Once a crowded address has served its wait, everybody there signs in, one after the other."""
        for number in range(210):
            door.fail(f"victim{number}", "office")
            door.now_ms += door.verdict("nobody", "office").retry_after_ms
        assert failures_left(door.buckets[Kind.ADDRESS, "office"], now_ms=door.now_ms, limit=LIMITS.address) == 210
        for number in range(500):
            assert door.succeed(f"colleague{number}", "office").allowed
            door.now_ms += SECOND_MS
        assert door.fail("colleague", "office").allowed
        assert not door.succeed("colleague0", "office").allowed

    def test_an_office_with_a_few_mistakes_a_day_is_never_slowed_down(self, door: Door) -> None:
        """Failures are forgotten overnight, so those of a shared address do not add up over the weeks."""
        for _ in range(30):
            morning = door.now_ms
            for number in range(30):
                assert door.fail(f"colleague{number}", "office").allowed
                assert door.succeed(f"colleague{number}", "office").allowed
                door.now_ms += 15 * MINUTE_MS
            door.now_ms = morning + DAY_MS


class TestRules:
    def test_the_slowest_bucket_decides(self) -> None:
        """The longest wait holds, and the verdict names the bucket for the log."""
        buckets = {Kind.PAIR: Bucket(6, NOW), Kind.ACCOUNT: Bucket(23, NOW), Kind.ADDRESS: Bucket(202, NOW)}
        assert decide(buckets, now_ms=NOW, limits=LIMITS, address_is_known=False) == Verdict(
            allowed=False, retry_after_ms=4 * SECOND_MS, slowed_by=Kind.ACCOUNT
        )
        assert decide(buckets, now_ms=NOW, limits=LIMITS, address_is_known=True) == Verdict(
            allowed=False, retry_after_ms=2 * SECOND_MS, slowed_by=Kind.ADDRESS
        )
        assert decide({}, now_ms=NOW, limits=LIMITS, address_is_known=False) == Verdict(allowed=True)
        assert decide({Kind.PAIR: None}, now_ms=NOW, limits=LIMITS, address_is_known=False) == Verdict(allowed=True)

    def test_failures_are_forgotten_one_by_one(self) -> None:
        """After a day without a failure nothing is left; after half a day, half."""
        full = Bucket(16, NOW)
        limit = LIMITS.pair
        assert limit.max_failures == 16
        left = [failures_left(full, now_ms=NOW + part * DAY_MS // 16, limit=limit) for part in range(18)]
        assert left == [16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0]

    def test_a_success_takes_one_off_the_address(self) -> None:
        """A right password takes back its own count only, and leaves nothing where nothing else was."""
        limit = LIMITS.address
        assert after_success(after_attempt(None, now_ms=NOW, limit=limit), limit=limit) is None
        assert after_success(Bucket(4, NOW), limit=limit) == Bucket(3, NOW)
        assert after_success(Bucket(0, 0), limit=limit) is None

    def test_a_full_bucket_is_no_emptier_after_a_success(self) -> None:
        """At the most that is counted, an attempt and its success still cancel out."""
        limit = LIMITS.address
        full = Bucket(limit.max_failures, NOW - limit.max_wait_ms)
        after = after_success(after_attempt(full, now_ms=NOW, limit=limit), limit=limit)
        assert after == full

    @pytest.mark.parametrize(
        ("values", "setting"),
        [
            ((-1, 1, 1, DAY_MS), "free_failures"),
            ((5, 0, 1, DAY_MS), "first_wait_ms"),
            ((5, 2, 1, DAY_MS), "first_wait_ms"),
            ((5, SECOND_MS, 15 * MINUTE_MS, 16 * 15 * MINUTE_MS - 1), "forget_after_ms"),
        ],
    )
    def test_limits_that_make_no_sense_are_refused(self, values: tuple[int, int, int, int], setting: str) -> None:
        """A limit under which pausing would let a guesser try more often does not start."""
        with pytest.raises(ConfigurationError) as refused:
            Limit(*values)
        assert refused.value.setting == setting

    def test_a_clock_set_back_a_year_locks_nobody_out(self) -> None:
        """A clock that was wrong for a moment does not shut anybody out until it has caught up."""
        year_ms = 365 * DAY_MS
        bucket = Bucket(16, NOW + year_ms)
        assert decide({Kind.PAIR: bucket}, now_ms=NOW, limits=LIMITS, address_is_known=False).allowed
        counted = after_attempt(bucket, now_ms=NOW, limit=LIMITS.pair)
        assert counted.last_failure_at_ms == NOW
        assert not decide({Kind.PAIR: counted}, now_ms=NOW, limits=LIMITS, address_is_known=False).allowed

    def test_a_server_whose_clock_is_behind_does_not_shorten_the_wait(self) -> None:
        """Choosing the server with the slower clock gains a guesser nothing."""
        bucket = Bucket(8, NOW + 500)
        verdict = decide({Kind.PAIR: bucket}, now_ms=NOW, limits=LIMITS, address_is_known=False)
        assert verdict.retry_after_ms == 4 * SECOND_MS
        assert after_attempt(bucket, now_ms=NOW, limit=LIMITS.pair).last_failure_at_ms == NOW + 500


LIMIT = st.builds(
    lambda free, first_ms, factor, spare_ms: _with_room(free, first_ms, first_ms * factor, spare_ms),
    st.integers(0, 100),
    st.integers(1, 10_000),
    st.integers(1, 10_000),
    st.integers(0, 10 * DAY_MS),
)
BUCKET = st.builds(Bucket, st.integers(0, 10**9), st.integers(0, 10**14))


def _with_room(free: int, first_ms: int, max_ms: int, spare_ms: int) -> Limit:
    return Limit(free, first_ms, max_ms, 200 * max_ms + spare_ms)


class TestProperties:
    @given(LIMIT, BUCKET, st.integers(0, 10**14))
    def test_no_wait_is_longer_than_the_longest_or_negative(self, limit: Limit, bucket: Bucket, now_ms: int) -> None:
        """Whatever the counts and however the clock jumps, a wait lies between 0 and the longest."""
        for kind in Kind:
            verdict = decide({kind: bucket}, now_ms=now_ms, limits=Limits(limit, limit, limit), address_is_known=False)
            assert 0 <= verdict.retry_after_ms <= limit.max_wait_ms
            assert verdict.allowed == (verdict.retry_after_ms == 0)
            assert verdict.allowed == (verdict.slowed_by is None)

    @given(LIMIT, BUCKET, st.integers(0, 10**9))
    def test_whoever_waits_as_told_is_let_in(self, limit: Limit, bucket: Bucket, later_ms: int) -> None:
        """After the wait that was asked for, the next attempt is allowed, if nobody failed meanwhile."""
        limits = Limits(limit, limit, limit)
        now_ms = bucket.last_failure_at_ms + later_ms
        first = decide({Kind.PAIR: bucket}, now_ms=now_ms, limits=limits, address_is_known=False)
        now_ms += first.retry_after_ms
        assert decide({Kind.PAIR: bucket}, now_ms=now_ms, limits=limits, address_is_known=False).allowed

    @given(LIMIT, BUCKET, st.integers(0, 10**14))
    def test_a_clock_set_back_at_most_doubles_the_longest_wait(self, limit: Limit, bucket: Bucket, now_ms: int) -> None:
        """However far a clock is set back, two of the longest waits later everybody is let in."""
        limits = Limits(limit, limit, limit)
        seen = [
            decide({Kind.PAIR: bucket}, now_ms=now_ms + waited_ms, limits=limits, address_is_known=False).allowed
            for waited_ms in (0, 2 * limit.max_wait_ms)
        ]
        assert any(seen)

    @given(LIMIT, st.lists(st.integers(-DAY_MS, DAY_MS), max_size=50))
    def test_counts_stay_in_bounds_however_the_clock_jumps(self, limit: Limit, steps_ms: list[int]) -> None:
        """No sequence of attempts and clock steps makes a count negative or lets it grow without end."""
        now_ms, bucket = NOW, None
        for step_ms in steps_ms:
            now_ms += step_ms
            bucket = after_attempt(bucket, now_ms=now_ms, limit=limit)
            assert 1 <= bucket.failures <= limit.max_failures + 1
            assert 0 <= bucket.last_failure_at_ms - now_ms <= limit.max_wait_ms

    @given(LIMIT, st.integers(0, 200))
    def test_waits_double_up_to_the_longest(self, limit: Limit, failures: int) -> None:
        """Past the free failures every further one doubles the wait, until it is the longest."""
        shorter, longer = limit.wait_ms(failures), limit.wait_ms(failures + 1)
        assert longer == min(2 * shorter, limit.max_wait_ms) if shorter else longer in (0, limit.first_wait_ms)
        assert limit.wait_ms(limit.max_failures) == limit.max_wait_ms


class TestNetworks:
    @pytest.mark.parametrize(
        ("address", "network"),
        [
            ("203.0.113.7", "203.0.113.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:DB8:1:2::9", "2001:db8:1:2::/64"),
            ("::1", "::/64"),
            ("fe80::1%eth0", "fe80::/64"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("::ffff:203.0.113.7%eth0", "203.0.113.7"),
            ("::ffff:cb00:7107", "203.0.113.7"),
            ("64:ff9b::203.0.113.7", "203.0.113.7"),
            ("", UNKNOWN_NETWORK),
            ("unix:", UNKNOWN_NETWORK),
            ("203.0.113.7:443", UNKNOWN_NETWORK),
            ("[::1]", UNKNOWN_NETWORK),
            ("203.0.113.7%eth0", UNKNOWN_NETWORK),
            ("203.0.113.007", UNKNOWN_NETWORK),
            ("٢٠٣.0.113.7", UNKNOWN_NETWORK),
            ("1" * 100_000, UNKNOWN_NETWORK),
            ("\0", UNKNOWN_NETWORK),
        ],
    )
    def test_an_address_stands_for_its_network(self, address: str, network: str) -> None:
        """Throttling goes by IPv4 address or IPv6 /64, and everything unreadable is one network."""
        assert network_of(address) == network

    @given(st.text())
    def test_any_text_has_a_network(self, address: str) -> None:
        """No address, however strange, breaks a sign-in."""
        assert network_of(address)
