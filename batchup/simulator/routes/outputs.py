"""The finished images, made at each request from the image that was given."""

from batchup.simulator.calls import Answer, Call
from batchup.simulator.inputs import MissingImageError
from batchup.simulator.models import catalogue
from batchup.simulator.pictures import PictureError, media_type


async def image(call: Call) -> Answer:
    """GET /outputs/{id}/{index}.{extension}: the upscaled image; 404 while there is none."""
    service = call.service
    prediction = service.book.get(call.parts["id"])
    now = service.clock.now()
    if prediction is None or not prediction.is_ended(now):
        return Answer(404)
    prediction = await service.inputs.settled(prediction, now)
    extension = catalogue()[prediction.model].extension(prediction.input)
    if prediction.fate != "success" or call.parts["extension"] != extension:
        return Answer(404)
    indices = {str(index) for index in range(service.settings.output_count)}
    if call.parts["index"] not in indices or call.hits("dead_output", prediction.number):
        return Answer(404)
    if call.hits("output_5xx"):
        return Answer(500)
    try:
        data = await service.inputs.render(prediction)
    except (PictureError, MissingImageError):
        return Answer(500)
    answer = Answer(200, data, {"Content-Type": media_type(extension)})
    return _spoilt(call, answer)


def _spoilt(call: Call, answer: Answer) -> Answer:
    if call.hits("output_reset"):
        return Answer.dropped()
    if call.hits("short_output"):
        return answer.cut()
    return answer.halved() if call.hits("truncated_output") else answer
