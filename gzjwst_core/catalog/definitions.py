"""Where the definitions of our columns come from: a source for every column of `columns`, and the full references.

Words in square brackets of a source are keys of REFERENCES. A source is ASCII of at most 68 characters: one card of a
FITS header. A column without a source is refused by the tests. What a column is called and means is in `columns`.
"""

from collections.abc import Mapping

__all__ = ["REFERENCES", "SOURCE_OF"]

REFERENCES: Mapping[str, str] = {
    "BA96": "Bertin & Arnouts 1996, A&AS 117, 393 (SExtractor); through SEP, Barbary 2016, JOSS 1, 58",
    "Ber00": "Bershady, Jangren & Conselice 2000, AJ 119, 2645",
    "Cas00": "Casertano et al. 2000, AJ 120, 2747 (noise of drizzled pixels); the law is fitted in catalog/noise.py",
    "Con03": "Conselice 2003, ApJS 147, 1",
    "IAU": "IAU Specifications concerning designations for astronomical radiation sources outside the solar system",
    "JWST": "JWST pipeline documentation, level-3 image products (i2d)",
    "Kron80": "Kron 1980, ApJS 43, 305",
    "MAST": "Mikulski Archive for Space Telescopes, CAOM product fields",
    "OG83": "Oke & Gunn 1983, ApJ 266, 713 (AB magnitudes: 23.9 - 2.5 log10 of the flux in uJy)",
}
"""What the keys in sources stand for."""

SOURCE_OF: Mapping[str, str] = {
    "id_str": "IAU name rules [IAU]; truncated, not rounded",
    "group_id": "this project: position of the group's primary as a number",
    "is_primary": "this project: catalog/merge.py states the rule",
    "field": "this project: obs_id and s_region of the products [MAST]",
    "source_id": "SExtractor NUMBER [BA96], anew in each field",
    "segment_id": "SExtractor segmentation image [BA96]",
    "ra": "SExtractor ALPHAWIN_J2000 [BA96]; the mosaic's WCS",
    "dec": "SExtractor DELTAWIN_J2000 [BA96]; the mosaic's WCS",
    "x": "SExtractor XWIN_IMAGE [BA96], less 1",
    "y": "SExtractor YWIN_IMAGE [BA96], less 1",
    "a": "SExtractor A_IMAGE [BA96], second moments",
    "b": "SExtractor B_IMAGE [BA96], second moments",
    "theta_sky": "SExtractor THETA_SKY [BA96]; local north of the WCS",
    "theta_image": "SExtractor THETA_IMAGE [BA96]",
    "ellipticity": "SExtractor ELLIPTICITY [BA96]",
    "npix": "SExtractor ISOAREAF_IMAGE [BA96]",
    "xmin": "SExtractor XMIN_IMAGE [BA96], less 1",
    "xmax": "SExtractor XMAX_IMAGE [BA96], less 1",
    "ymin": "SExtractor YMIN_IMAGE [BA96], less 1",
    "ymax": "SExtractor YMAX_IMAGE [BA96], less 1",
    "bbox_diagonal": "this project: from xmin, xmax, ymin, ymax",
    "kron_factor": "SExtractor KRON_RADIUS [Kron80, BA96]",
    "kron_a": "SExtractor KRON_RADIUS x A_IMAGE [Kron80, BA96]",
    "kron_b": "SExtractor KRON_RADIUS x B_IMAGE [Kron80, BA96]",
    "r20": "SExtractor FLUX_RADIUS 0.2 [BA96]",
    "r50": "SExtractor FLUX_RADIUS 0.5 [BA96]",
    "r90": "SExtractor FLUX_RADIUS 0.9 [BA96]",
    "concentration": "C of [Ber00, Con03], of flux_auto in place of 1.5 Petrosian radii",
    "mu_max": "SExtractor MU_MAX [BA96]",
    "snr_det": "SExtractor FLUX_ISO / FLUXERR_ISO [BA96], correlated noise [Cas00]",
    "total_factor": "this project: growth of light beyond the ellipse, totals.py",
    "mag_ref": "SExtractor MAG_AUTO [BA96], corrected to total; AB [OG83]",
    "star_score": "this project: r50 against the point sources', stars.py",
    "is_star": "this project: star_score and ellipticity, stars.py",
    "nn_dist": "this project: centres on the detection grid",
    "edge_dist": "this project: distance transform of the pixels without data",
    "valid_frac": "this project: 64 points of equal area in the ellipse",
    "valid_frac_min": "this project: as valid_frac",
    "n_bands": "this project: from valid_frac of the bands",
    "flags": "this project, after SExtractor FLAGS [BA96]",
    "ext_id": "the table of targets itself",
    "which_catalogue": "the table of targets: the file's name, without _optap",
    "ext_fov": "the table of targets; else this project, targets.py",
    "{band}_flux_auto": "SExtractor FLUX_AUTO [Kron80, BA96]; Kron ellipse",
    "{band}_fluxerr_auto": "SExtractor FLUXERR_AUTO [BA96], correlated noise [Cas00]",
    "{band}_flux_tot": "this project: flux_auto x total_factor",
    "{band}_fluxerr_tot": "this project: fluxerr_auto x total_factor",
    "{band}_mag_tot": "AB magnitude [OG83] of flux_tot",
    "{band}_mag_tot_err": "2.5 / ln 10 x fluxerr_tot / flux_tot",
    "{band}_flux_iso": "SExtractor FLUX_ISO [BA96]",
    "{band}_valid_frac": "this project: as valid_frac",
    "{band}_wht_med": "JWST level-3 plane WHT [JWST]; median of 64 points",
    "{band}_r20": "SExtractor FLUX_RADIUS 0.2 [BA96]",
    "{band}_r50": "SExtractor FLUX_RADIUS 0.5 [BA96]",
    "{band}_r90": "SExtractor FLUX_RADIUS 0.9 [BA96]",
    "{band}_mu_50": "half of flux_auto over the area of r50; as SExtractor's MU_EFF",
    "{band}_concentration": "C of [Ber00, Con03], of flux_auto in place of 1.5 Petrosian radii",
    "{band}_ellipticity": "second moments [BA96] in the segment, no threshold, shapes.py",
    "{band}_theta_sky": "second moments [BA96] in the segment, no threshold, shapes.py",
    "{band}_star_score": "this project: as star_score",
    "{band}_flux_aper{aper}": "SExtractor FLUX_APER [BA96]",
    "{band}_fluxerr_aper{aper}": "SExtractor FLUXERR_APER [BA96], correlated noise [Cas00]",
}
"""By name of the column, or of its template."""
