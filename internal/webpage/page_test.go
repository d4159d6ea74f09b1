package webpage

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var at, _ = url.Parse("https://docs.example/a/b.html?v=1")

func TestMarkdown(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ html, want string }{
		"text":        {"<p>One <b>two</b>\n three.<p>Four<br>five", "One **two** three.\n\nFour\nfive"},
		"headings":    {"<h1>A <a class=headerlink href=#a>¶</a></h1><h3>B\nc</h3>", "# A\n\n### B c"},
		"links":       {`<a href="c.html">c</a> <a href="/d?e=f#g">d</a>, <a href="//other.example/x">x</a>.`, "[c](https://docs.example/a/c.html) [d](https://docs.example/d?e=f#g), [x](https://other.example/x)."},
		"no links":    {`<a href="#s">in page</a> <a href="b.html?v=1#t">too</a> <a href="javascript:alert(1)">run</a> <a href="data:text/html,x">data</a>`, "in page too run data"},
		"bare link":   {`see <a href="https://a.example/">https://a.example/</a>`, "see <https://a.example/>"},
		"parentheses": {`<a href="/wiki/A_(b)">A</a>`, "[A](https://docs.example/wiki/A_%28b%29)"},
		"card":        {`<a href="/x"><h3>Title</h3><p>words</p></a>`, "### Title\n\nwords\n\n<https://docs.example/x>"},
		"list":        {"<ul><li>a<li>b<ol start=3><li>c<li>d</ol><li><p>e</p><p>f</p></ul>g", "- a\n- b\n  3. c\n  4. d\n- e\n\n  f\n\ng"},
		"list first":  {"<ul><li><ul><li>a</ul><li><blockquote>q<p>r</blockquote>s</ul>", "- - a\n- > q\n  >\n  > r\n\n  s"},
		"quote":       {"<blockquote><p>a<ul><li>b</ul></blockquote>", "> a\n> - b"},
		"tasks":       {"<ul><li><input type=checkbox checked> a<li><input type=checkbox>b</ul>", "- [x] a\n- [ ] b"},
		"code":        {"<pre><code class=language-python>def f():\n    return `x`\n</code></pre>", "```python\ndef f():\n    return `x`\n```"},
		"Sphinx code": {"<div class='highlight-python notranslate'><div class=highlight><pre><span class=linenos>1</span><span>import</span> <span>x</span>\n</pre></div></div>", "```python\nimport x\n```"},
		"fences":      {"<pre>```\na\n```</pre>", "````\n```\na\n```\n````"},
		"inline code": {"use <code>a_b</code> or <code>x`y</code>", "use `a_b` or `` x`y ``"},
		"code in list": {
			"<ol><li>do<pre>a\n\n  b</pre></ol>", "1. do\n\n   ```\n   a\n\n     b\n   ```",
		},
		"table":   {"<table><caption>T</caption><tr><th>a<th>b|c<tr><td>1<td><p>2<p>3</table>", "T\n\n| a | b\\|c |\n| --- | --- |\n| 1 | 2 3 |"},
		"no head": {"<table><tr><td>a<td>b<tr><td>1<td>2</table>", "| a | b |\n| --- | --- |\n| 1 | 2 |"},
		"spans":   {"<table><tr><th>m<th colspan=2>acc<tr><td rowspan=2>x<td>1<td>2<tr><td>3<td>4</table>", "| m | acc | acc |\n| --- | --- | --- |\n| x | 1 | 2 |\n| x | 3 | 4 |"},
		"layout":  {"<table><tr><td><h2>a</h2><td><table><tr><td>1<td>2</table></table>", "## a\n\n| 1 | 2 |\n| --- | --- |"},
		"MathML":  {`<p>so <math alttext="x^2"><mi>x</mi></math> and <math><semantics><mi>y</mi><annotation encoding="application/x-tex">y_1</annotation></semantics></math></p><math display=block alttext="z"></math>`, "so $x^2$ and $y_1$\n\n$$z$$"},
		"KaTeX":   {`<span class=katex><span class=katex-mathml><math><semantics><mi>a</mi><annotation encoding="application/x-tex">a</annotation></semantics></math></span><span class=katex-html aria-hidden=true>a</span></span>`, "$a$"},
		"MathJax": {`e <script type="math/tex">e^x</script>`, "e $e^x$"},
		"wiki":    {`<span style="display: none;"><math alttext="{\displaystyle x}"></math></span><img class="mwe-math-fallback-image-inline" alt="{\displaystyle x}" src=x.svg>`, "$x$"},
		"powers":  {"10<sup>-4</sup> H<sub>2</sub>O, said<sup>[1]</sup> x<sup>a b</sup>", "10^-4 H_2O, said[1] x^(a b)"},
		"image":   {`<img src=a.png alt="a cat"><img src=b.png><img alt=x src="data:image/png;base64,aaaa">`, "![a cat](https://docs.example/a/a.png)[image: x]"},
		"hidden":  {`a<p hidden>1</p><p style="display:none">2</p><p style="color:red;visibility: hidden">3</p><p style="font-size:0">4</p><p aria-hidden=true>5</p><!-- 6 --><script>7</script><style>8</style><noscript>9</noscript><template>10</template><p style="opacity: 0.0;">11</p><p style="opacity:0.5">b</p>`, "a\n\nb"},
		"term":    {"<dl><dt>t</dt><dd>d<p>e</dd></dl>", "t\n\n  d\n\n  e"},
		"details": {"<details><summary>More</summary>text</details>", "**More**\n\ntext"},
		"base":    {`<base href="https://b.example/q/"><a href=r>r</a>`, "[r](https://b.example/q/r)"},
		"spaces":  {"a<b> b </b>c<i>d</i>e&nbsp;f", "a **b** cde f"},
		"rule":    {"a<hr>b", "a\n\n---\n\nb"},
		"nothing": {"", ""},
	} {
		if got := Read(tt.html, at).Main; got != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, tt.want)
		}
	}
}

const prose = "This is a paragraph that has a good many words in it, since it is what the page is about, and not a menu. "

// The content comes first, whether the page names it or not, and nothing is
// lost.
func TestMainContent(t *testing.T) {
	t.Parallel()
	menu := strings.Repeat(`<li><a href="/x">An entry of the menu</a></li>`, 30)
	content := "<h1>The title</h1><p>" + strings.Repeat(prose, 3) + "</p><h2>More</h2><p>" + strings.Repeat(prose, 2) + "</p><ul><li>point one of it</li></ul>"
	for name, body := range map[string]string{
		"main":     "<header>Site</header><ul>" + menu + "</ul><main><nav>Inner menu</nav>" + content + "</main><footer>Legal</footer>",
		"role":     "<ul>" + menu + "</ul><div role=main>" + content + "</div>Legal",
		"article":  "<div><ul>" + menu + "</ul></div><article>" + content + "</article><div>Legal</div>",
		"unnamed":  "<div class=sidebar><ul>" + menu + "</ul></div><div class=page><div>" + content + "</div></div><div class=footer>Legal</div>",
		"sections": "<div><ul>" + menu + "</ul></div><div id=content><section><h1>The title</h1><p>" + prose + prose + "</p></section><section><h2>More</h2><p>" + prose + prose + "</p><ul><li>point one of it</ul></section></div><p>Legal</p>",
	} {
		p := Read("<title>T &amp; u</title><body>"+body, at)
		if !strings.HasPrefix(p.Main, "# The title\n") || !strings.Contains(p.Main, "## More") || !strings.Contains(p.Main, "- point one") || strings.Contains(p.Main, "menu](") || strings.Contains(p.Main, "Legal") {
			t.Errorf("%s: main is\n%s", name, p.Main)
		}
		if !strings.Contains(p.Rest, "An entry of the menu") || strings.Contains(p.Rest, "point one") || p.Title != "T & u" {
			t.Errorf("%s: title %q, the rest is\n%s", name, p.Title, p.Rest)
		}
	}
}

func TestHead(t *testing.T) {
	t.Parallel()
	p := Read(`<meta property="og:title" content="Named"><meta property="article:published_time" content="2026-01-02T03:04:05Z"><svg><title>icon</title></svg><p>x`, at)
	if next := Read(`<meta http-equiv=Refresh content="0; URL='/new'">`, at).Next; next != "https://docs.example/new" {
		t.Errorf("next is %q", next)
	}
	if p := Read(strings.Repeat("words of a page ", 1<<19)+"<p>end", at); !p.Cut || len(p.Main) < 4<<20 || strings.Contains(p.Main, "end") {
		t.Errorf("%d bytes, cut %v", len(p.Main), p.Cut)
	}
	if p.Title != "Named" || p.Date != "2026-01-02T03:04:05Z" {
		t.Errorf("got %+v", p)
	}
}

// Pages that are made to be costly cost no more than others of their size.
func TestCostlyPages(t *testing.T) {
	t.Parallel()
	const n = 50_000
	for name, source := range map[string]string{
		"deep":      strings.Repeat("<div>", n) + "words",
		"lists":     strings.Repeat("<ul><li>", 150) + strings.Repeat("word<br>", n),
		"quotes":    strings.Repeat("<blockquote>", 400) + strings.Repeat("word<br>", n),
		"bold":      strings.Repeat("<b>", 400) + strings.Repeat("word ", n),
		"struck":    strings.Repeat("<del>", 400) + strings.Repeat("word ", n),
		"raised":    strings.Repeat("<sup>", 400) + strings.Repeat("word ", n),
		"breaks":    strings.Repeat("<del><sup><b>", 130) + strings.Repeat("word<br>", n),
		"links":     strings.Repeat("<a href=x><div>", 200) + strings.Repeat("word ", n),
		"spans":     "<table>" + strings.Repeat("<tr><td colspan=1000 rowspan=65000>a word<td>b", 5000) + "</table>",
		"tables":    strings.Repeat("<table><tr><td>", 160) + strings.Repeat("word ", n),
		"rows":      "<table>" + strings.Repeat("<tr><td>a<td>b", n),
		"paragraph": strings.Repeat("<p>a paragraph of some words, of which there are many", n),
		"ticks":     "<pre>" + strings.Repeat("`", n),
		"unclosed":  strings.Repeat("<a href=x><b><i>", 3000) + "x",
	} {
		began := time.Now()
		p := Read(source, at)
		if took := time.Since(began); took > time.Minute {
			t.Errorf("%s took %v", name, took)
		} else {
			t.Logf("%s: %v for %d bytes, %d out", name, took, len(source), len(p.Main))
		}
		if len(p.Main)+len(p.Rest) > 2*maxText || p.Main == "" {
			t.Errorf("%s: %d bytes", name, len(p.Main))
		}
	}
}

func TestRobot(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]bool{
		"<title>Just a moment...</title><div id=cf-chl-widget>":                                    true,
		"<div class=anomaly-modal__title>Unfortunately, bots use DuckDuckGo too.</div>":            true,
		"<p>Our systems have detected unusual traffic from your network</p>":                       true,
		"<form><div class=g-recaptcha></div></form>Press the button":                               true,
		"<p>A page of few words</p>":                                                               false,
		"<article>" + strings.Repeat(prose, 20) + "</article><form><div class=g-recaptcha></form>": false,
	} {
		if got := Robot(source, Read(source, at).Main); got != want {
			t.Errorf("%q: %v", source, got)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("<ul><li><blockquote><li>x<table><tr><td rowspan=3>a<td>b<tr></table>")
	f.Add("<main><p>x</main><nav>y</nav><math alttext='a'><svg><title>t</title></svg>")
	f.Add("<base href='http://[::1'><a href='http://%zz'>x</a><a href=' ?q'><h1>b</h1></a><pre>```\r\n</pre>")
	f.Add("<dl><dd><ol start=-9><li value=3><input type=checkbox checked><li></ol><template><p>x</template><frameset>")
	f.Add(fmt.Sprintf("%s<p>%s", strings.Repeat("<ol><li>", 20), "a<br>b"))
	f.Fuzz(func(t *testing.T, source string) {
		p := Read(source, at)
		for _, s := range []string{p.Title, p.Main, p.Rest, p.Date} {
			if !utf8.ValidString(s) && utf8.ValidString(source) {
				t.Errorf("%q is no UTF-8", s)
			}
			if strings.Contains(s, "](javascript:") && !strings.Contains(source, "](javascript:") {
				t.Errorf("a link runs something: %q", s)
			}
		}
		if len(p.Main)+len(p.Rest) > 4096+120*len(source) {
			t.Errorf("%d bytes become %d", len(source), len(p.Main)+len(p.Rest))
		}
		Robot(source, p.Main)
	})
}
