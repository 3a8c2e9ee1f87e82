"""Uploads: presign, PUT, GET and delete."""

import uuid

from batchup.simulator.calls import Answer, Call
from batchup.simulator.clock import rfc3339
from batchup.simulator.uploads import FILE_ID_HEADER, KEEP_S, Upload

_MAX_BYTES = 100 * 1024 * 1024
_MIN_KEEP_S = 60
_MAX_KEEP_S = 31_536_000


async def presign(call: Call) -> Answer:
    """POST /v1/upload/presign: an address to PUT a file to, and the one it will have."""
    if call.hits("presign_5xx"):
        return Answer.error(500, "Failed to generate presigned URL")
    try:
        body = call.json()
    except ValueError:
        body = None
    if not isinstance(body, dict) or not isinstance(body.get("content_type"), str):
        return Answer.json({"error": "content_type is required"}, 400)
    asked_s = body.get("expires_in_seconds", KEEP_S)
    if not isinstance(asked_s, int):
        return Answer.json({"error": "expires_in_seconds must be an integer"}, 400)
    keep_s = min(max(asked_s, _MIN_KEEP_S), _MAX_KEEP_S)
    upload = call.service.uploads.presign(body["content_type"], keep_s)
    return Answer.json(
        {
            "id": upload.id,
            "presigned_url": call.url(f"/put/{upload.id}?signature={upload.token}"),
            "public_url": call.url(upload.path),
            "expires_at": rfc3339(upload.expires_at),
            "required_headers": {FILE_ID_HEADER: upload.id},
        }
    )


async def put(call: Call) -> Answer:
    """PUT to a presigned address: 403 unless headers, signature and time are right."""
    upload = call.service.uploads.get(call.parts["id"])
    if upload is None or not _is_signed(call, upload) or call.hits("put_403"):
        return Answer(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>", _XML)
    if call.service.clock.now() >= upload.put_before_at:
        return Answer(403, b"<Error><Code>AccessDenied</Code></Error>", _XML)
    if call.hits("put_5xx"):
        return Answer(500, b"<Error><Code>InternalError</Code></Error>", _XML)
    if len(call.body) > _MAX_BYTES:
        return Answer(400, b"<Error><Code>EntityTooLarge</Code></Error>", _XML)
    call.service.uploads.put(upload, call.body)
    return Answer(200)


async def get(call: Call) -> Answer:
    """GET an upload's public address."""
    upload = call.service.uploads.at_path(call.request.path)
    if upload is None or not call.service.uploads.is_live(upload):
        return Answer(404)
    data = call.service.store.image(upload.sha256 or "")
    return Answer(404) if data is None else Answer(200, data, {"Content-Type": upload.content_type})


async def delete(call: Call) -> Answer:
    """DELETE /v1/files/{id}: 204, again too; 404 for one that never was."""
    try:
        upload = call.service.uploads.get(str(uuid.UUID(call.parts["id"])))
    except ValueError:
        return Answer.error(400, "invalid file id")
    if upload is None:
        return Answer.error(404, "not found")
    call.service.uploads.delete(upload)
    return Answer(204)


_XML = {"Content-Type": "application/xml"}


def _is_signed(call: Call, upload: Upload) -> bool:
    headers = call.request.headers
    return (
        call.request.query.get("signature") == upload.token
        and headers.get("Content-Type") == upload.content_type
        and headers.get(FILE_ID_HEADER) == upload.id
    )
