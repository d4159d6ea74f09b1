// Package websearchtest holds answers of search engines, in their formats.
package websearchtest

// Answers of the engines, and of one that takes its visitor for a robot.
const (
	SearXNG = `{"query":"q","number_of_results":0,"results":[{"url":"https://a.example/1","title":"One","content":"first","publishedDate":"2026-01-02T00:00:00","engine":"x","score":1.5},
				{"url":"https://b.example/2","title":"Two","content":"second","publishedDate":null}],"answers":[],"unresponsive_engines":[["brave","timeout"]]}`
	Brave      = `{"type":"search","query":{"original":"q","more_results_available":true},"web":{"type":"search","results":[{"title":"<strong>One</strong> &amp; only","url":"https://a.example/1","description":"a &lt;T&gt; <strong>b</strong>","age":"January 2, 2026","page_age":"2026-01-02T03:04:05"}]}}`
	Tavily     = `{"query":"q","answer":null,"results":[{"title":"One","url":"https://a.example/1","content":"text","score":0.9,"published_date":"Fri, 02 Jan 2026 10:00:00 GMT"}],"response_time":1.2}`
	DuckDuckGo = `<!DOCTYPE html><html><head><title>q at DuckDuckGo</title></head><body><div class="serp__results"><div id="links" class="results">
<div class="result results_links results_links_deep result--ad"><a class="result__a" href="https://duckduckgo.com/y.js?ad_domain=shop.example">Buy</a><a class="result__snippet">now</a></div>
<div class="result results_links results_links_deep web-result"><div class="links_main links_deep result__body">
<h2 class="result__title"><a rel="nofollow" class="result__a" href="//duckduckgo.com/l/?uddg=https%3A%2F%2Fdocs.rs%2Ftokio%3Fa%3D1%26copy%3D2&amp;rut=abc">Tokio <b>async</b> &amp; more</a></h2>
<div class="result__extras"><div class="result__extras__url"><a class="result__url" href="//duckduckgo.com/l/?uddg=https%3A%2F%2Fdocs.rs%2Ftokio">docs.rs/tokio</a><span>&nbsp; &nbsp; 2026-03-04T00:00:00.0000000</span></div></div>
<a class="result__snippet" href="//duckduckgo.com/l/?uddg=x">A <b>runtime</b>
 for writing</a></div></div>
<div class="result web-result"><h2><a class="result__a" href="https://www.example.com/page">Second</a></h2></div>
<div class="result web-result"><h2><a class="result__a" href="https://www.example.com/page">Second again</a></h2></div>
<div class="result web-result"><h2><a class="result__a" href="/about">About</a></h2></div>
<div class="result web-result"><h2><a class="result__a" href="https://duckduckgo.com/y.js?u3=x">Ad</a></h2></div>
<div class="result web-result"><h2><a class="result__a" href="//duckduckgo.com/l/?uddg=javascript%3Aalert(1)">Run</a></h2></div>
</div></div></body></html>`
	Robot = `<html><body><div class="anomaly-modal__title">Unfortunately, bots use DuckDuckGo too.</div></body></html>`
)
