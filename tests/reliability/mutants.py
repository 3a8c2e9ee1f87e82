"""What holds each promise up, and the test that falls when it is taken away: (rows, file, old, new, test)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROMISES: Final = tuple(f"P{number}" for number in range(1, 13))
LIBRARIES: Final = (
    "aiolimiter: bursts",
    "aiohttp: repeats and idle connections",
    "aiohttp: redirects, bodies, timeouts",
    "asyncio: wait_for and bare tasks",
    "anyio: Ctrl-C as cancellation",
    "tqdm: a closed stderr",
    "Pillow: bombs",
    "json: depth, NaN, twins",
    "yarl: dots in ids",
)
"""The rows of the table of library pitfalls."""

LIMITER, REPEAT, REDIRECT, TASKS, CTRL_C, STDERR, BOMBS, JSON, IDS = LIBRARIES


@dataclass(frozen=True)
class Mutant:
    """One guard removed: in `file` the text `old` becomes `new`, and `test` has to notice."""

    rows: tuple[str, ...]
    name: str
    file: str
    old: str
    new: str
    test: str

    def __str__(self) -> str:
        return f"{self.rows[0].split(':')[0]} {self.name}"

    def fits(self, root: Path) -> bool:
        """Tell whether the text to be replaced is in its file, once."""
        return (root / self.file).read_text(encoding="utf-8").count(self.old) == 1

    def applied(self, source: str) -> str:
        """Return the source without the guard."""
        return source.replace(self.old, self.new)


def _of(*rows: str) -> "_Maker":
    return _Maker(rows)


@dataclass(frozen=True)
class _Maker:
    """Makes mutants of the same rows."""

    rows: tuple[str, ...]

    def __call__(self, name: str, file: str, old: str, new: str, test: str) -> Mutant:
        return Mutant(self.rows, name, f"batchup/{file}", old, new, f"tests/{test}")


_CREATES: Final = "core/test_batch_creates.py::"
_DOUBTS: Final = "core/test_batch_doubts.py::"
_LIMITS: Final = "edge/test_limits.py::"
_OUTPUTS: Final = "edge/test_outputs.py::"
_GUARDS: Final = "edge/test_guards.py::"
_CLIENT: Final = "edge/test_client.py::"
_POOL: Final = "edge/test_pool.py::"
_KEPT: Final = "edge/test_checkpoint.py::"

MUTANTS: Final[tuple[Mutant, ...]] = (
    _of("P1")(
        "no intent before a create",
        "core/reactions/creates.py",
        "    return [keep]\n",
        "    return []\n",
        _CREATES + "test_the_intent_is_written_before_the_create",
    ),
    _of("P1")(
        "the id is kept later than the note",
        "core/reactions/creates.py",
        "    return [keep, Note(",
        "    return [Note(",
        _CREATES + "test_an_accepted_create_keeps_its_id_first",
    ),
    _of("P1")(
        "creates without number are open",
        "core/choice.py",
        "board.open[Kind.CREATE] >= most_open",
        "board.open[Kind.CREATE] >= most_open + 99",
        _CREATES + "test_only_so_many_creates_are_open",
    ),
    _of("P1")(
        "a create goes out although its intent could not be written",
        "edge/pool.py",
        "        self.feed(Sent(request))\n        if self._is_broken:\n            return\n",
        "        self.feed(Sent(request))\n",
        _POOL + "test_no_create_goes_out_whose_intent_is_not_on_disk",
    ),
    _of("P1")(
        "a create goes out while its intent is gathered with others",
        "edge/pool.py",
        "        if self._pending.holds_back(request):\n",
        "        if request is None:\n",
        "edge/test_pending.py::test_nothing_goes_out_before_what_it_depends_on_is_on_disk",
    ),
    _of("P1", TASKS)(
        "the loop runs between an answer and its commit",
        "edge/pool.py",
        "            answer = self.tools.wire.read(request, raw, unix)\n",
        "            answer = self.tools.wire.read(request, raw, unix)\n            await anyio.sleep(0)\n",
        _GUARDS + "test_nothing_is_awaited_between_an_answer_and_its_commit",
    ),
    _of("P1")(
        "commits are not synced",
        "edge/database/opening.py",
        "PRAGMA synchronous = FULL",
        "PRAGMA synchronous = NORMAL",
        _KEPT + "test_commits_are_synced",
    ),
    _of("P1", "P4", CTRL_C)(
        "a create is cancelled like anything else",
        "edge/pool.py",
        "anyio.CancelScope(shield=isinstance(request, Create))",
        "anyio.CancelScope(shield=False)",
        "test_api.py::test_a_cancelled_run_leaves_nothing_in_doubt",
    ),
    _of("P1")(
        "a bought id is tried once",
        "edge/pool.py",
        "is_bought=is_bought) or is_bought):",
        "is_bought=is_bought)):",
        _POOL + "test_a_bought_id_is_written_at_the_second_try",
    ),
    _of("P2")(
        "one that is alike and at work is bought beside",
        "core/alike.py",
        "    if is_at_work or any(one.state in UNSETTLED for one in others):\n",
        "    if any(one.state in UNSETTLED for one in others):\n",
        "core/test_alike.py::test_a_night_of_requests_that_repeat",
    ),
    _of("P2")(
        "one that is alike and in doubt is bought beside",
        "core/alike.py",
        "    if is_at_work or any(one.state in UNSETTLED for one in others):\n",
        "    if is_at_work:\n",
        "core/test_alike.py::test_what_may_be_bought_is_never_bought_beside",
    ),
    _of("P2")(
        "what is saved under another id is bought",
        "edge/duplicates/dedupe.py",
        "                await self._share(item, self._wanted_again(item, known), others)\n",
        "                return False\n",
        "edge/test_copies.py::test_a_case_twin_that_comes_in_between_has_the_name",
    ),
    _of("P8")(
        "an original that was changed on the disk is handed on",
        "edge/duplicates/copies.py",
        "        if part.stat().st_size != file.bytes or sha256_of(part) != file.sha256:\n",
        "        if part.stat().st_size != file.bytes:\n",
        "edge/test_copies.py::test_what_is_not_as_it_was_is_not_given",
    ),
    _of("P12")(
        "rows are forgotten where a run ends before it has met what was left",
        "edge/feeding/marks.py",
        "*self._unmet.values(), ",
        "",
        "edge/test_marks.py::test_no_row_is_lost_where_a_run_ends_before_it_has_met_what_was_left",
    ),
    _of("P12")(
        "the run ends before all who waited are told",
        "core/choice.py",
        " or board.saving or board.at_work.ended:\n",
        " or board.saving:\n",
        "core/test_alike.py::test_the_run_does_not_end_before_all_are_told",
    ),
    _of("P2")(
        "what was sent is not kept",
        "core/reactions/creates.py",
        "hashes = {key: value_hash(value) for key, value in request.input.items()}",
        "hashes: dict[str, str] = {}",
        _CREATES + "test_the_intent_is_written_before_the_create",
    ),
    _of("P2")(
        "a lost answer is a definite no",
        "core/verdicts.py",
        '        "lost": V.IN_DOUBT,',
        '        "lost": V.NOTHING_CREATED,',
        "core/test_wire.py::test_silence_is_weighed_by_what_was_sent",
    ),
    _of("P2")(
        "one empty listing is enough",
        "core/reactions/doubts.py",
        "EMPTY_LISTINGS = 2",
        "EMPTY_LISTINGS = 1",
        _DOUBTS + "test_two_empty_listings_apart_clear_a_doubt",
    ),
    _of("P2")(
        "two listings at once are two",
        "core/reactions/doubts.py",
        "started_at - work.empty_at >= settle_s",
        "started_at - work.empty_at >= 0",
        _DOUBTS + "test_two_listings_close_together_are_one",
    ),
    _of("P2")(
        "absence counts before the window has settled",
        "core/reactions/doubts.py",
        "if started_at < settles_at:",
        "if started_at < 0:",
        _DOUBTS + "test_absence_means_nothing_before_the_window_has_settled",
    ),
    _of("P2")(
        "somebody else's prediction is taken",
        "core/fingerprint.py",
        "    return True if sent.keys() <= shown.keys() else None\n",
        "    return True\n",
        _DOUBTS + "test_a_key_that_is_not_shown_leaves_it_open",
    ),
    _of("P2")(
        "another input is taken for ours",
        "core/fingerprint.py",
        "value_hash(shown[key]) != hashed",
        "False",
        _DOUBTS + "test_somebody_elses_prediction_is_left_alone",
    ),
    _of("P2")(
        "ids we know are candidates",
        "core/reactions/doubts.py",
        "is_new = id_ not in known and ",
        "is_new = ",
        _DOUBTS + "test_what_is_ours_is_not_inspected",
    ),
    _of("P2")(
        "one page is the list",
        "core/reactions/doubts.py",
        "listing.is_read = not board.doubtful or ",
        "listing.is_read = True or ",
        _DOUBTS + "test_all_pages_are_read",
    ),
    _of("P2")(
        "the service's clock is ours",
        "core/board.py",
        "        self.service_offset_s, self.is_offset_known = offset_s, True\n",
        "        self.is_offset_known = True\n",
        _DOUBTS + "test_the_list_is_asked_for_the_window_in_the_services_time",
    ),
    _of("P2", "P12")(
        "what was being submitted begins anew",
        "core/reactions/intake.py",
        "        case State.SUBMITTING:\n            return doubts.enter(board, work, now)\n",
        "        case State.SUBMITTING:\n            return []\n",
        "core/test_batch_intake.py::test_a_row_found_submitting_is_in_doubt",
    ),
    _of("P3")(
        "hold does not hold",
        "core/reactions/doubts.py",
        "            return _hold(board, work, now, asked if board.policy.has_list else _NO_LIST)\n",
        "            return []\n",
        _DOUBTS + "test_policy_hold_asks_nobody",
    ),
    _of("P3")(
        "what nobody can tell is not held",
        "core/reactions/doubts.py",
        "case _ if not work.hashes:",
        "case _ if False:",
        _DOUBTS + "test_what_cannot_be_recognised_is_held",
    ),
    _of("P4")(
        "a stop does not wait for the open create",
        "core/choice.py",
        "return not (board.open[Kind.CREATE] or board.saving)",
        "return True",
        _CREATES + "test_a_stop_lets_the_open_create_end",
    ),
    _of("P4", CTRL_C)(
        "Ctrl-C is left to Python",
        "edge/listeners.py",
        "WATCHED: Final = (signal.SIGINT, ",
        "WATCHED: Final = (",
        "edge/test_signals.py::test_leave_then_abort_then_exit",
    ),
    _of("P5", LIMITER)(
        "a lease comes back with its answer",
        "edge/limits.py",
        "self._ledger.change(lease.number, now + lease.period_s * MARGIN)",
        "self._ledger.change(lease.number, now)",
        _LIMITS + "test_a_lease_comes_back_after_its_answer_and_not_before",
    ),
    _of("P5", LIMITER)(
        "the limiter alone",
        "edge/gate/ledger.py",
        "if self._leases.count(now) >= limit:",
        "if self._leases.count(now) >= limit + 999:",
        _LIMITS + "test_two_runs_share_one_ledger",
    ),
    _of("P5", LIMITER)(
        "a full bucket at once",
        "edge/limits.py",
        "    return min(count, max(LEAST_BURST, count // 10))\n",
        "    return count\n",
        _LIMITS + "test_the_burst_is_a_tenth",
    ),
    _of("P5")(
        "leases die with the process",
        "edge/gate/ledger.py",
        "self._db = sqlite3.connect(path, ",
        'self._db = sqlite3.connect(":memory:", ',
        _LIMITS + "test_leases_outlive_the_process",
    ),
    _of("P5")(
        "a reboot frees all leases",
        "edge/gate/ledger.py",
        "for n in range(1, allowance + 1)",
        "for n in range(1, 1)",
        _LIMITS + "test_after_a_reboot_a_full_allowance_is_held",
    ),
    _of("P5")(
        "a slow commit shortens the lease",
        "edge/limits.py",
        "        if lease.number is not None and until > lease.until:\n",
        "        if lease.number is None and until > lease.until:\n",
        _LIMITS + "test_a_timeout_counts_from_when_the_request_goes_out",
    ),
    _of("P6")(
        "what is in doubt takes no slot",
        "core/states.py",
        "MAY_BE_RUNNING = frozenset({S.SUBMITTING, S.IN_DOUBT, ",
        "MAY_BE_RUNNING = frozenset({S.SUBMITTING, ",
        _DOUBTS + "test_a_doubt_is_kept_and_told",
    ),
    _of("P6")(
        "what is held takes no slot",
        "core/board.py",
        "return self.running_count + held + self.others_slots",
        "return self.running_count + self.others_slots",
        _DOUBTS + "test_a_held_item_keeps_its_slot_until_its_prediction_must_have_ended",
    ),
    _of("P6")(
        "what is overdue takes no slot",
        "core/board.py",
        "return self.running_count + held + self.others_slots",
        "return self.running_count - self.overdue_count + held + self.others_slots",
        "core/test_batch_polls.py::test_with_every_slot_overdue_the_run_ends",
    ),
    _of("P7", REPEAT)(
        "a request may pass twice",
        "edge/client.py",
        "        if passes:\n",
        "        if len(passes) > 9:\n",
        _CLIENT + "test_a_dropped_keep_alive_connection_is_not_used_twice",
    ),
    _of("P7", REDIRECT)(
        "redirects are followed",
        "edge/client.py",
        "allow_redirects=False",
        "allow_redirects=True",
        _CLIENT + "test_a_redirect_is_not_followed",
    ),
    _of("P7", REPEAT)(
        "creates share connections",
        "edge/client.py",
        ", force_close=True",
        "",
        _CLIENT + "test_creates_have_a_connection_each",
    ),
    _of(REDIRECT)(
        "a body without end",
        "edge/client.py",
        "if size > _LARGEST:",
        "if size < 0:",
        _CLIENT + "test_a_body_is_bounded",
    ),
    _of(REDIRECT)(
        "compressed answers are unpacked",
        "edge/client.py",
        "auto_decompress=False",
        "auto_decompress=True",
        _CLIENT + "test_a_compressed_answer_is_not_unpacked",
    ),
    _of(REDIRECT)(
        "no timeout of our own",
        "edge/client.py",
        "            total=timeout_s, connect=",
        "            total=None, connect=",
        _CLIENT + "test_an_answer_that_trickles_is_left_in_time",
    ),
    _of("P8", BOMBS)(
        "verify() in place of load()",
        "edge/images/pictures.py",
        "        frame.load()\n",
        "        frame.verify()\n",
        _OUTPUTS + "test_no_truncation_is_accepted",
    ),
    _of("P8")(
        "pixels are enough, the end is not looked for",
        "edge/images/pictures.py",
        "is_whole = has_end(extension, path)",
        "is_whole = True",
        "edge/test_picture_ends.py::test_a_jpeg_without_its_end_is_refused",
    ),
    _of("P8")(
        "an output is not synced",
        "edge/outputs.py",
        "            os.fsync(file.fileno())\n",
        "            pass\n",
        _GUARDS + "test_an_output_is_synced_before_it_has_its_name_and_its_folder_after",
    ),
    _of("P8")(
        "an output's folder is not synced",
        "edge/outputs.py",
        "                sync_folder(folder)\n",
        "                pass\n",
        _GUARDS + "test_an_output_is_synced_before_it_has_its_name_and_its_folder_after",
    ),
    _of("P8")(
        "a replaced file is not synced",
        "edge/files.py",
        "            if durable:\n                os.fsync(file.fileno())\n",
        "",
        _GUARDS + "test_files_are_synced_before_they_are_relied_on",
    ),
    _of("P9")(
        "a full disk is nobody's problem",
        "edge/files.py",
        '        raise DiskProblem(f"{path}: {words}", remedy=remedy) from error\n',
        "        raise\n",
        _OUTPUTS + "test_a_full_disk_is_a_disk_problem",
    ),
    _of("P10")(
        "a key that the service repeats is kept",
        "edge/client.py",
        'text = text.replace(secret, b"***")',
        "text = bytes(text)",
        _CLIENT + "test_a_key_that_the_service_repeats_is_masked",
    ),
    _of("P10")(
        "the log is written as it comes",
        "edge/telling/runlog.py",
        "        return self._redactor(text)\n",
        "        return text\n",
        "edge/test_runlog.py::test_no_secret_is_written",
    ),
    _of("P10")(
        "addresses of outputs are kept with their signatures",
        "edge/database/columns.py",
        'any("?" in url for url in changes["urls"])',
        "False",
        _KEPT + "test_a_signed_address_is_not_written",
    ),
    _of("P10")(
        "who calls back is not asked for the secret",
        "core/signatures.py",
        "    return hmac.compare_digest(_bytes(given), _bytes(expected))\n",
        "    return True\n",
        "core/test_signatures.py::test_a_wrong_signature_is_refused",
    ),
    _of("P11")(
        "the lock is not taken",
        "edge/lock.py",
        "            _lock(self._file, self.LOOKING_S)\n",
        "            pass\n",
        "edge/test_lock.py::test_a_lock_is_seen_while_it_is_held",
    ),
    _of("P12")(
        "a change whatever the state was",
        "edge/database/changes.py",
        '*(row.columns["state"], keep.was.value),',
        "*(keep.was.value, keep.was.value),",
        _KEPT + "test_a_change_from_another_state_is_refused",
    ),
    _of("P12")(
        "a row is sealed anew that is not as it was written",
        "edge/database/changes.py",
        'f"{name} IS ?" for name in',
        "f\"({name} IS ? OR '{name}' <> 'n')\" for name in",
        "edge/test_database.py::test_a_garbled_row_is_not_sealed_anew",
    ),
    _of("P12")(
        "an item stays saved while its files become others",
        "edge/duplicates/dedupe.py",
        "        self.checkpoint.keep([Keep(item, known.state, becomes, {})])\n",
        "",
        "edge/test_copies.py::test_a_saved_item_is_written_down_before_its_files_become_others",
    ),
    _of("P12")(
        "half a transaction stays",
        "edge/checkpoint.py",
        'self.db.execute("ROLLBACK")',
        'self.db.execute("COMMIT")',
        _KEPT + "test_half_of_what_is_kept_together_is_not_kept",
    ),
    _of("P12")(
        "two ids have one file",
        "core/names.py",
        "is_plain = not is_twin and mark is None and keeps_id(item_id, template)",
        "is_plain = mark is None and keeps_id(item_id, template)",
        "core/test_names.py::test_a_case_twin_is_hashed",
    ),
    _of("P12")(
        "two ids have one file under a template",
        "core/names.py",
        "if is_plain and not _HASHED.fullmatch(stem)",
        "if is_plain and True",
        "core/test_templates.py::test_nobody_takes_the_name_of_a_rival",
    ),
    _of("P12")(
        "a torn line stays torn",
        "edge/files.py",
        "            file.truncate(_end_of_last_line(file.fileno()))\n",
        "",
        _OUTPUTS + "test_append_lines_cuts_off_a_torn_line",
    ),
    _of("P12")(
        "any move is allowed",
        "core/states.py",
        '        raise IllegalMoveError(f"{move.value} from {state.value}") from None\n',
        "        return state\n",
        "core/test_states.py::test_what_the_table_does_not_allow_raises",
    ),
    _of(TASKS)(
        "a bare task sends the request",
        "edge/pool.py",
        "        self._tasks.start_soon(self._exchange, request, gate, lease)\n",
        "        __import__('asyncio').ensure_future(self._exchange(request, gate, lease))\n",
        _GUARDS + "test_no_task_is_bare_and_nothing_waits_by_wait_for",
    ),
    _of(STDERR)(
        "a closed stderr ends the run",
        "edge/progress.py",
        "        except (OSError, ValueError):\n            self._stream = None\n",
        "        except ZeroDivisionError:\n            self._stream = None\n",
        "edge/test_progress.py::test_a_broken_stream_ends_nothing",
    ),
    _of(BOMBS)(
        "any number of pixels",
        "edge/images/pictures.py",
        "    if earlier + width * height > max_pixels:\n",
        "    if earlier + width * height < 0:\n",
        _OUTPUTS + "test_too_many_pixels_are_not_decoded",
    ),
    _of(BOMBS)(
        "any number of frames",
        "edge/images/pictures.py",
        "        if number >= _MOST_FRAMES:\n",
        "        if number < 0:\n",
        "edge/test_picture_ends.py::test_frames_without_number_are_refused",
    ),
    _of(JSON)(
        "depth is a bug and no answer",
        "core/values.py",
        "(msgspec.DecodeError, RecursionError, UnicodeDecodeError)",
        "(msgspec.DecodeError, UnicodeDecodeError)",
        "core/test_wire.py::test_monsters_are_answers_too",
    ),
    _of(JSON)(
        "nested as deep as can be",
        "core/values.py",
        "    if _is_deep(value):\n",
        "    if not body:\n",
        "core/test_wire.py::test_what_is_nested_without_end_makes_no_sense",
    ),
    _of(JSON)(
        "the last of two keys counts in a manifest",
        "edge/manifest/json_lines.py",
        "    json.loads(raw, object_pairs_hook=_refuse_twins)\n",
        "",
        "edge/test_manifest_json.py",
    ),
    _of(IDS)(
        "any id is an id",
        "core/values.py",
        're.compile(r"(?!\\.+$)[A-Za-z0-9._-]{1,128}")',
        're.compile(r".+")',
        "core/test_wire.py::test_an_unsafe_id_leaves_doubt",
    ),
    _of("P10")(
        "outputs may lie on this machine",
        "edge/saving/guard.py",
        "        raise PrivateAddress\n",
        "        pass\n",
        _OUTPUTS + "test_private_addresses_are_refused",
    ),
    _of("P10")(
        "inputs are kept with their signatures",
        "edge/database/columns.py",
        "as_json(plain_value(own))",
        "as_json(own)",
        _KEPT + "test_a_signed_input_is_not_written",
    ),
    _of("P10")(
        "reasons are kept with their signatures",
        "edge/database/columns.py",
        "message=plain_words(failure.message)",
        "message=failure.message",
        _KEPT + "test_a_signed_input_is_not_written",
    ),
    _of("P10")(
        "the secret of webhooks is repeated",
        "edge/client.py",
        "            return Silence(was_sent=True, message=self._masked(_words(error).encode()).decode())\n",
        "            return Silence(was_sent=True, message=_words(error))\n",
        _CLIENT + "test_what_the_service_repeats_of_our_secrets_is_masked_everywhere",
    ),
    _of("P12")(
        "a garbled row is believed",
        "edge/database/schema.py",
        "    return zlib.crc32(msgspec.msgpack.encode(values))\n",
        "    return 0\n",
        "edge/test_database.py::test_a_garbled_row_is_told_wherever_it_is_read",
    ),
    _of("P12")(
        "a mark is believed for other bytes",
        "edge/feeding/marks.py",
        "    return is_line and not left and checksum == mark.checksum\n",
        "    return True\n",
        "edge/test_marks.py::test_an_edited_row_before_the_mark_is_read",
    ),
    _of("P12")(
        "a mark outlives what it counts",
        "edge/checkpoint.py",
        "if command.was is State.SAVED:",
        "if not command:",
        "edge/test_marks.py::test_a_saved_item_that_is_wanted_again_ends_the_mark",
    ),
    _of("P9")(
        "the ballast is not given up",
        "edge/ballast.py",
        "            self._path.unlink()\n",
        "            pass\n",
        "edge/test_space.py::test_a_ballast_is_real_bytes_until_it_is_given_up",
    ),
    _of("P2")(
        "creates go on unanswered",
        "core/brakes.py",
        "if self.is_out_of_credit or self.doubt_count >= BREAKER_COUNT:",
        "if self.is_out_of_credit:",
        "core/test_brakes.py::test_three_unanswered_creates_open_the_breaker",
    ),
    _of("P4")(
        "nothing has time to land before a deadline",
        "core/board.py",
        "now + self.landing_s() >= deadline",
        "now >= deadline",
        "core/test_choice.py::test_a_deadline_that_is_too_near_creates_nothing",
    ),
    Mutant(
        (CTRL_C,),
        "an anyio that spins on a cancellation",
        "pyproject.toml",
        '"anyio>=4.14.2"',
        '"anyio>=4.0"',
        "tests/" + _GUARDS + "test_floors_keep_out_what_was_mended_later",
    ),
)
