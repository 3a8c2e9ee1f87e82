"""A job as a CronJob of Kubernetes: one pod at a time, its folder on a claim, its key from a secret."""

from dataclasses import dataclass
from typing import Final

from batchup.core.schedule.exits import MOST_STARTS, NOT_AGAIN, WELL
from batchup.core.schedule.quoting import cluster_word, shell_wait, yaml_word
from batchup.core.schedule.values import Schedule

SECRETS_FOLDER: Final = "/run/secrets/batchup"
STATE_FOLDER: Final = ".batchup-state"
_USER: Final = 1000

WELL_AS_0: Final = (
    'run=; asked=; trap \'asked=1; [ -z "$run" ] || kill -TERM "$run"\' TERM INT;'
    ' "$@" & run=$!; [ -z "$asked" ] || kill -TERM "$run"; wait "$run"; code=$?;'
    ' while kill -0 "$run" 2>/dev/null; do wait "$run"; code=$?; done;'
    f' [ "$code" -ne {WELL} ] || code=0; exit "$code"'
)
"""A shell's program: run the other words, hand SIGTERM on to them, end as they do, but 75 as 0.

A cluster knows no other code of success.
"""


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a cluster is told besides: the image, the claim that holds the job's folder, the secret's name."""

    image: str
    claim: str
    secret: str


def cron_job(schedule: Schedule, cluster: Cluster) -> str:
    """Return the manifest, in YAML; a missed night is made up for until half a day later."""
    late_s = 12 * 3600 if schedule.is_caught_up else 300
    lines = [
        f"# Made by `batchup schedule` for {schedule.job}",
        "apiVersion: batch/v1",
        "kind: CronJob",
        "metadata:",
        f"  name: {schedule.unit}",
        "  labels: {app.kubernetes.io/name: batchup}",
        "spec:",
        f"  schedule: {yaml_word(f'{schedule.at.minute} {schedule.at.hour} * * *')}",
        f"  timeZone: {yaml_word(schedule.zone or 'Etc/UTC')}",
        "  concurrencyPolicy: Forbid",
        f"  startingDeadlineSeconds: {late_s}",
        "  successfulJobsHistoryLimit: 3",
        "  failedJobsHistoryLimit: 3",
        "  jobTemplate:",
        "    spec:",
        *_limit(schedule),
        f"      backoffLimit: {MOST_STARTS - 1}",
        "      podFailurePolicy:",
        "        rules:",
        "          # A pod that is moved or evicted goes on elsewhere; nothing is bought twice.",
        "          - action: Ignore",
        '            onPodConditions: [{type: DisruptionTarget, status: "True"}]',
        "          # These need a person, or another night.",
        "          - action: FailJob",
        "            onExitCodes:",
        "              containerName: batchup",
        "              operator: In",
        f"              values: [{', '.join(map(str, NOT_AGAIN))}]",
        "      template:",
        "        spec:",
        *(f"          {line}" for line in _pod(schedule, cluster)),
    ]
    return "\n".join(lines) + "\n"


def _limit(schedule: Schedule) -> list[str]:
    """Return how long a night may last, its starts again among it: their `--stop-at` would be tomorrow's.

    Without `--stop-at` each start again has its own `--max-duration`, and the number of starts is the bound.
    """
    if schedule.longest_min is None:
        return []
    # Where clocks are put back, one night of the year is an hour longer. In all others a start again near the
    # end may take that hour of the day, what is left of the jitter, and the time to end in order.
    limit_s = 60 * schedule.longest_min + schedule.jitter_s + schedule.stop_s
    return [f"      activeDeadlineSeconds: {limit_s}"]


def _pod(schedule: Schedule, cluster: Cluster) -> list[str]:
    return [
        "restartPolicy: Never",
        f"terminationGracePeriodSeconds: {schedule.stop_s}",
        "automountServiceAccountToken: false",
        "securityContext:",
        "  runAsNonRoot: true",
        f"  runAsUser: {_USER}",
        f"  runAsGroup: {_USER}",
        f"  fsGroup: {_USER}",
        "  fsGroupChangePolicy: OnRootMismatch",
        "  seccompProfile: {type: RuntimeDefault}",
        "containers:",
        "  - name: batchup",
        f"    image: {yaml_word(cluster.image)}",
        f"    workingDir: {yaml_word(schedule.folder)}",
        f"    # {WELL} is stopped on purpose with work left: well, but a cluster knows 0 alone.",
        f"    command: [/bin/sh, -c, {cluster_word(_program(schedule))}, batchup]",
        "    args:",
        *(f"      - {cluster_word(word)}" for word in ["batchup", *schedule.run_words()]),
        "    env:",
        *(f"      - {{name: {name}, value: {cluster_word(value)}}}" for name, value in _variables(schedule)),
        "    resources: {requests: {cpu: 200m, memory: 512Mi}}",
        "    securityContext:",
        "      allowPrivilegeEscalation: false",
        "      readOnlyRootFilesystem: true",
        "      capabilities: {drop: [ALL]}",
        "    volumeMounts:",
        f"      - {{name: job, mountPath: {yaml_word(schedule.folder)}}}",
        "      - {name: tmp, mountPath: /tmp}",
        *_of_secrets(schedule, f"      - {{name: secrets, mountPath: {SECRETS_FOLDER}, readOnly: true}}"),
        "volumes:",
        f"  - {{name: job, persistentVolumeClaim: {{claimName: {yaml_word(cluster.claim)}}}}}",
        "  - {name: tmp, emptyDir: {}}",
        *_of_secrets(
            schedule,
            f"  - {{name: secrets, secret: {{secretName: {yaml_word(cluster.secret)}, defaultMode: 0440}}}}",
        ),
    ]


def _program(schedule: Schedule) -> str:
    return shell_wait(schedule.jitter_s) + WELL_AS_0


def _variables(schedule: Schedule) -> list[tuple[str, str]]:
    """Return what is set: the ledger of the limits has to outlive the pod, so it lies beside the job."""
    given = [
        ("TZ", schedule.zone or "Etc/UTC"),
        ("HOME", "/tmp"),  # noqa: S108 an emptyDir of the pod's own
        ("XDG_STATE_HOME", f"{schedule.folder.rstrip('/')}/{STATE_FOLDER}"),
    ]
    places = [(secret.variable, f"file:{SECRETS_FOLDER}/{secret.credential}") for secret in schedule.secrets]
    return [*given, *places]


def _of_secrets(schedule: Schedule, line: str) -> list[str]:
    return [line] if schedule.secrets else []
