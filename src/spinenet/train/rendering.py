"""The pictures of a grader's batch, resampled and changed at once where the network runs.

What ``crops.resample`` does to one slice on the CPU, and the chance of ``augment`` after it: window and gamma, noise,
blur and bias field, each series its own.

Shapes: B study, L level, S place of a bag, M picture, Z series, R C pixels of a window, H W pixels of a crop.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

BRIGHTEST = 1.3
"""What a window cuts off above."""
TRUNCATE = 4.0
"""A Gaussian ends after so many standard deviations, as SciPy's does."""
BLUR_RADIUS = 4


@torch.no_grad()
def render(batch: Mapping[str, Tensor]) -> Tensor:
    """``crops_BLSHW`` of a batch of ``windows.collate_windows``; noise is torch's."""
    picture_BLS = batch["picture_LS"]
    with torch.autocast(picture_BLS.device.type, enabled=False):
        shown_MHW = _looks(_resampled(batch), batch)
    crops_BLSHW = shown_MHW.new_zeros(*picture_BLS.shape, *shown_MHW.shape[1:])
    present_BLS = picture_BLS >= 0
    crops_PHW = shown_MHW[picture_BLS[present_BLS]]
    flipped_P = batch["flipped_LS"][present_BLS]
    crops_BLSHW[present_BLS] = torch.where(flipped_P[:, None, None], crops_PHW.flip(-1), crops_PHW)
    return crops_BLSHW


def _resampled(batch: Mapping[str, Tensor]) -> Tensor:
    """(M, H, W) bilinear values of the windows; outside of one the nearest of its edge, which is the image's."""
    series_M, windows_MRC, size_M2 = batch["series_M"], batch["windows_MRC"], batch["size_M2"]
    entry_MRC = windows_MRC.int() + 256 * series_M.int()[:, None, None]
    values_MRC = batch["grey_Z256"].flatten().index_select(0, entry_MRC.flatten()).view(windows_MRC.shape)
    if (fine_M := batch["smoothing_M"] > 0).any():
        values_MRC[fine_M] = _smoothed(values_MRC[fine_M], size_M2[fine_M], batch["smoothing_M"][fine_M])
    matrix_M23, place_HW2 = batch["matrix_M23"], batch["place_HW2"]
    at_MHW2 = torch.einsum("mij,hwj->mhwi", matrix_M23[:, :, :2], place_HW2) + matrix_M23[:, None, None, :, 2]
    at_MHW2 = torch.minimum(at_MHW2.clamp(min=0), (size_M2[:, None, None] - 1).to(at_MHW2.dtype))
    last_2 = torch.tensor(windows_MRC.shape[1:], device=at_MHW2.device) - 1
    grid_MHW2 = (2 * at_MHW2 / last_2.clamp(min=1) - 1).flip(-1)
    return functional.grid_sample(
        values_MRC[:, None], grid_MHW2, mode="bilinear", padding_mode="border", align_corners=True
    )[:, 0]


def _smoothed(values_MRC: Tensor, size_M2: Tensor, sigma_M: Tensor) -> Tensor:
    """A Gaussian of each window's own width, mirrored at the window's edges."""
    steps_K = torch.arange(-(radius := int(TRUNCATE * float(sigma_M.max()) + 0.5)), radius + 1, device=sigma_M.device)
    weights_MK = torch.exp(-0.5 * (steps_K / sigma_M[:, None]).square())
    weights_MK = weights_MK * (steps_K.abs() <= (TRUNCATE * sigma_M[:, None] + 0.5).floor())
    weights_MK = weights_MK / weights_MK.sum(1, keepdim=True)
    for axis in (1, 2):
        size_M1, length = size_M2[:, axis - 1, None], values_MRC.shape[axis]
        index_MN = torch.arange(-radius, length + radius, device=sigma_M.device) % (2 * size_M1)
        index_MN = torch.minimum(index_MN, 2 * size_M1 - 1 - index_MN)  # d c b a | a b c d | d c b a
        shape = list(values_MRC.shape)
        shape[axis] = index_MN.shape[1]
        index = index_MN[:, :, None] if axis == 1 else index_MN[:, None]
        values_MRC = _convolved(values_MRC.gather(axis, index.expand(shape)), weights_MK, axis)
    return values_MRC


def _convolved(values_MRC: Tensor, weights_MK: Tensor, axis: int) -> Tensor:
    """Weighted sums of neighbours along an axis that is so much longer."""
    length = values_MRC.shape[axis] - weights_MK.shape[1] + 1
    parts = (
        weights_MK[:, step, None, None] * values_MRC.narrow(axis, step, length) for step in range(weights_MK.shape[1])
    )
    return sum(parts, torch.zeros((), device=values_MRC.device))


def windowed(x: Tensor, window_N3: Tensor) -> Tensor:
    """Grey values (N, ...) as another exporter would show them: lower and upper end, gamma; infinite ends: none."""
    low, high, gamma = (one.view(-1, *[1] * (x.ndim - 1)) for one in window_N3.unbind(1))
    shown = ((x - low) / (high - low)).clamp(0, BRIGHTEST) ** gamma
    return torch.where(torch.isfinite(high), shown, x)


def _looks(x_MHW: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
    """Each series as its chance has it: window and gamma, noise, blur, bias field."""
    window_M3, noise_M, blur_M2, field_M33 = (
        batch[name][batch["series_M"]] for name in ("window_Z3", "noise_Z", "blur_Z2", "field_Z33")
    )
    x_MHW = windowed(x_MHW, window_M3)
    if (noisy_M := noise_M > 0).any():
        x_MHW[noisy_M] += noise_M[noisy_M, None, None] * torch.randn_like(x_MHW[noisy_M])
    if (blurred_M := blur_M2.any(1)).any():
        x_MHW[blurred_M] = _blurred(x_MHW[blurred_M], blur_M2[blurred_M])
    if (shaded_M := field_M33.flatten(1).any(1)).any():
        x_MHW[shaded_M] *= torch.exp(_field(field_M33[shaded_M], *x_MHW.shape[1:]))
    return x_MHW


def _blurred(x_MHW: Tensor, sigma_M2: Tensor) -> Tensor:
    steps_K = torch.arange(-BLUR_RADIUS, BLUR_RADIUS + 1, device=x_MHW.device)
    x_MHW = functional.pad(x_MHW[:, None], [BLUR_RADIUS] * 4, mode="replicate")[:, 0]
    for axis in (1, 2):
        weights_MK = torch.exp(-0.5 * (steps_K / sigma_M2[:, axis - 1, None]).square())
        x_MHW = _convolved(x_MHW, weights_MK / weights_MK.sum(1, keepdim=True), axis)
    return x_MHW


def _field(field_M33: Tensor, rows: int, columns: int) -> Tensor:
    """(M, H, W) sums of Legendre polynomials of degree 0 to 2 along rows and columns."""
    along = [torch.linspace(-1, 1, count, device=field_M33.device) for count in (rows, columns)]
    p_3H, p_3W = (torch.stack([torch.ones_like(x), x, 1.5 * x.square() - 0.5]) for x in along)
    return torch.einsum("mij,ih,jw->mhw", field_M33, p_3H, p_3W)
