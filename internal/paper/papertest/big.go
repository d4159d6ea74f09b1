package papertest

import (
	"fmt"
	"strings"
)

// BigPage is a paper of some 2 MB in LaTeXML's HTML, most of it MathML, as in
// papers of that size.
func BigPage() string {
	var b strings.Builder
	b.WriteString(`<html><body><article class="ltx_document"><h1 class="ltx_title ltx_title_document">Big</h1><div class="ltx_abstract"><p class="ltx_p">A.</p></div>`)
	for s := 1; b.Len() < 2<<20; s++ {
		fmt.Fprintf(&b, `<section id="S%d" class="ltx_section"><h2 class="ltx_title ltx_title_section"><span class="ltx_tag ltx_tag_section">%d </span>Part</h2>`, s, s)
		for range 20 {
			b.WriteString(`<div class="ltx_para"><p class="ltx_p">Plain words of a sentence that goes on for some time, as they do, with `)
			for range 3 {
				b.WriteString(`<math alttext="\mathcal{L}(\theta)=\sum_{i}\log p_{\theta}(y_{i})" class="ltx_Math" display="inline"><semantics><mrow><mi class="ltx_font_mathcaligraphic">L</mi>` +
					strings.Repeat(`<mo stretchy="false">(</mo><msub><mi>θ</mi><mn>1</mn></msub>`, 8) + `</mrow><annotation-xml encoding="MathML-Content"><apply><times></times><ci>L</ci></apply></annotation-xml><annotation encoding="application/x-tex">\mathcal{L}</annotation></semantics></math> and `)
			}
			b.WriteString(`an end <cite class="ltx_cite">[<a class="ltx_ref" href="#bib.bib1">1</a>]</cite>.</p></div>`)
		}
		b.WriteString(`<table class="ltx_tabular"><tbody>` + strings.Repeat(`<tr class="ltx_tr"><td class="ltx_td ltx_align_left">a name</td><td class="ltx_td">1.25</td><td class="ltx_td">3.5</td></tr>`, 10) + `</tbody></table></section>`)
	}
	b.WriteString(`</article></body></html>`)
	return b.String()
}
