"""The service's words for what went wrong: bodies of error answers, and failed predictions' `output`."""

from typing import Any


def error_body(status: int, error: str, details: Any = None) -> dict[str, Any]:
    """Return the body of an answer that is an error."""
    return {"status": status, "error": error} | ({} if details is None else {"details": details})


def cap_details(concurrency: int) -> str:
    """Return how the service words its cap on predictions in flight."""
    return (
        f"your account is limited to {concurrency} concurrent executions; "
        "wait for a running execution to finish or top up your balance"
    )


def balance_details(balance: float) -> str:
    """Return how the service words that running predictions have reserved the credit; `balance` in USD."""
    return (
        "the estimated cost of this and your in-flight executions exceeds your current balance "
        f"(${balance:.2f}); wait for one to finish or top up"
    )


def input_not_loaded(model: str, message: str) -> dict[str, Any]:
    """Return the output of a prediction whose image could not be fetched or read."""
    return _failure(
        model, "INPUT_DOWNLOAD_ERROR", message, category="VALIDATION", step="submit", retryable=False
    )


def input_too_large(model: str, message: str) -> dict[str, Any]:
    """Return the output of a prediction whose result would be larger than the service makes."""
    return _failure(
        model, "INPUT_VALIDATION_ERROR", message, category="VALIDATION", step="submit", retryable=False
    )


def provider_failed(model: str) -> dict[str, Any]:
    """Return the output of a prediction that failed by chance and may be tried again."""
    message = "The provider is temporarily unavailable"
    return _failure(model, "PROVIDER_SERVER_ERROR", message, category="PROVIDER", step="poll", retryable=True)


def content_refused(model: str) -> dict[str, Any]:
    """Return the output of a prediction that moderation refused."""
    message = "The input was flagged by content moderation"
    return _failure(
        model, "INPUT_VALIDATION_ERROR", message, category="VALIDATION", step="submit", retryable=False
    )


def _failure(
    model: str, code: str, message: str, *, category: str, step: str, retryable: bool
) -> dict[str, Any]:
    return {
        "success": False,
        "status": "ERROR",
        "error": "Execution failed",
        "error_code": code,
        "error_message": message,
        "error_step": step,
        "classification": {"category": category},
        "retryable": retryable,
        "provider": "simulator",
        "provider_error_code": code,
        "model_slug": model,
    }
