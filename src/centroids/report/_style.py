"""How the page looks: light and dark, on paper, a desk and a phone."""

from __future__ import annotations

_LIGHT = (
    *("#1f6fb4", "#b8500a", "#2a7d3f", "#b3261e", "#7a4bb5"),
    *("#8a5a2b", "#b8327f", "#55606b", "#6f6c00", "#00788a"),
)
_DARK = (
    *("#6db3f2", "#ff9d57", "#6fcf85", "#ff8a80", "#c3a1f0"),
    *("#d3a77c", "#f58cc5", "#b3bec9", "#d6d04a", "#4dd4df"),
)


def _colors(colors: tuple[str, ...]) -> str:
    return "".join(f"--c{place}:{color};" for place, color in enumerate(colors))


STYLE = (
    ":root{color-scheme:light dark;--back:#fff;--text:#1c2126;--soft:#59636e;--line:#d5dae0;"
    f"--tile:#f4f6f8;--mark:#1f6fb4;--less:#b8500a;{_colors(_LIGHT)}}}"
    "@media(prefers-color-scheme:dark){:root{--back:#14181d;--text:#e4e8ec;--soft:#a3adb8;"
    f"--line:#39424c;--tile:#1e242b;--mark:#6db3f2;--less:#ff9d57;{_colors(_DARK)}}}}}"
    + "".join(f".c{place}{{--c:var(--c{place})}}" for place in range(len(_LIGHT)))
    + """
*{box-sizing:border-box}
body{margin:0 auto;max-width:58rem;padding:1.5rem 1rem 4rem;background:var(--back);
color:var(--text);font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 .3rem}
h2{font-size:1.25rem;margin:2.4rem 0 .6rem;border-bottom:1px solid var(--line)}
h3{font-size:1rem;margin:1.2rem 0 .3rem}
p{margin:.4rem 0}.soft,caption,figcaption{color:var(--soft)}
nav ul{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;list-style:none;margin:.8rem 0;padding:0}
a{color:var(--mark)}
:focus-visible{outline:3px solid var(--mark);outline-offset:2px}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(8rem,1fr));gap:.6rem;margin:1rem 0}
dl div{background:var(--tile);border-radius:.5rem;padding:.6rem .8rem}
dt{color:var(--soft);font-size:.85rem}dd{margin:0;font-size:1.25rem}
.box{overflow:auto;margin:.5rem 0}#sizes~.box,[aria-labelledby=loss] .box{max-height:32rem}
table{border-collapse:collapse;min-width:60%;font-size:.92rem;overflow-wrap:normal}
caption{text-align:left;font-size:.85rem;padding:.2rem 0;
padding-right:max(0px,calc(100% - 100vw + 4.5rem))}
th,td{padding:.25rem .7rem .25rem 0;border-bottom:1px solid var(--line);text-align:left;
vertical-align:top}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
thead th{font-size:.85rem;color:var(--soft);font-weight:600;vertical-align:bottom}
thead .n{white-space:normal}
tbody th{font-weight:600;white-space:nowrap}
.bar{display:inline-block;height:.7rem;background:var(--c,var(--mark));border-radius:2px;
vertical-align:middle;width:calc(var(--share)*9rem)}
.sides{display:flex;width:7rem;height:1.4rem;align-items:center;background:
linear-gradient(var(--line),var(--line)) center/1px 100% no-repeat}
.sides .bar{width:calc(var(--share)*50%)}.above{margin-left:50%}
.below{margin-left:calc(50% - var(--share)*50%);background:var(--less)}
figure{margin:.6rem 0;max-width:46rem}svg{display:block;width:100%;height:auto}
svg text{font:13px system-ui,sans-serif;fill:var(--soft)}svg .end{text-anchor:end}
svg .name{text-anchor:middle;font-weight:700;fill:var(--back);stroke:var(--c);stroke-width:5px;
paint-order:stroke;stroke-linejoin:round}
.dots{fill:none;stroke:var(--c);stroke-width:4;stroke-linecap:round;opacity:.5}
.center{fill:var(--c);stroke:var(--back);stroke-width:2}
.line{fill:none;stroke:var(--mark);stroke-width:2}.line-dots{--c:var(--mark);opacity:1}
.axis{fill:none;stroke:var(--line)}.band{fill:var(--c)}svg .mid{text-anchor:middle}
.mean{fill:none;stroke:var(--text);stroke-dasharray:5 4}
h4{font-size:.92rem;margin:.8rem 0 .3rem;font-weight:400;color:var(--soft)}
.pictures{display:flex;flex-wrap:wrap;gap:.8rem;list-style:none;margin:0;padding:0}
.pictures figure{margin:0;max-width:7rem;font-size:.85rem}
.thumbnail{display:block;max-width:6rem;max-height:6rem}
.pictures img{display:block;width:6rem;height:6rem;object-fit:contain;image-rendering:pixelated}
details{border:1px solid var(--line);border-radius:.5rem;margin:.5rem 0;padding:0 .9rem}
summary{cursor:pointer;padding:.6rem 0;font-weight:600}
summary .dot{display:inline-block;width:.8rem;height:.8rem;border-radius:50%;
background:var(--c);margin:0 .2rem}
@media(max-width:30rem){svg text{font-size:17px}.bar{width:calc(var(--share)*4rem)}
.sides{width:4rem}th,td{padding-right:.5rem}}@media(min-width:50rem){svg text{font-size:11px}}
@media print{.box{max-height:none!important}}
"""
)
