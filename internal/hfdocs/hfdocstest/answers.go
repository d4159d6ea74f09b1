// Package hfdocstest holds answers of the Hub's documentation services, in
// their formats.
package hfdocstest

import (
	"fmt"
	"net/http"
	"strings"
)

// Handler answers paths, with or without their query, with texts.
func Handler(answers map[string]string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := answers[r.URL.RequestURI()]
		if !ok {
			text, ok = answers[r.URL.Path]
		}
		switch {
		case !ok:
			http.NotFound(w, r)
			return
		case strings.HasSuffix(r.URL.Path, ".md"):
			w.Header().Set("Content-Type", "text/markdown; charset=utf-8")
		case strings.HasPrefix(r.URL.Path, "/api/"):
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
		}
		fmt.Fprint(w, text)
	})
}

// Answers are the list of libraries, a list of pages, an answer of the search by
// meaning, one of the search by words, and the description of the API.
const (
	Libraries = `[{"id":"trl","url":"/docs/trl","category":"Training"},{"id":"transformers","url":"https://huggingface.co/docs/transformers"},{"id":"huggingface_hub","url":"/docs/huggingface_hub"}]`
	Pages     = `# TRL

> Trains.

- [SFT Trainer](https://huggingface.co/docs/trl/v9.1.0/sft_trainer.md): Supervised training (first step).
- [DPO](https://huggingface.co/docs/trl/v9.1.0/dpo_trainer.md)
- [Paper](https://example.com/paper.md)
- [Twice](https://huggingface.co/docs/trl/v9.1.0/sft_trainer.md)
`
	Found = `[{"id":"1","_vectors":{"embeddings":[0.1,0.2]},"product":"trl","heading1":"SFT Trainer","heading2":"Packing","heading3":null,"text":"Packs examples.",
 "source_page_url":"https://huggingface.co/docs/trl/v9.1.0/en/sft_trainer#packing","source_page_title":"SFT Trainer","new":{}}]`
	Words   = `{"hits":[{"url":"/docs/trl/main/en/dpo","anchor":"loss","content":"The loss.","hierarchy_lvl0":"TRL","hierarchy_lvl1":"DPO","hierarchy_lvl2":null}]}`
	OpenAPI = `{"openapi":"3.1.0","info":{"title":"Hub API","version":"0.9"},"servers":[{"url":"https://hub.test"}],"tags":[{"name":"discussions"}],
"paths":{
 "/api/models/{namespace}/{repo}/discussions":{
  "parameters":[{"name":"namespace","in":"path","required":true,"schema":{"type":"string"}},{"$ref":"#/components/parameters/Repo"}],
  "get":{"tags":["discussions"],"summary":"List discussions","operationId":"listDiscussions","parameters":[{"name":"p","in":"query","schema":{"type":"integer","default":0}},{"name":"type","in":"query","required":true,"schema":{"enum":["all","pull request"]}}],
   "responses":{"200":{"description":"The page","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Discussions"}}}}}},
  "post":{"tags":["discussions"],"summary":"Create a discussion","requestBody":{"required":true,"content":{"application/json":{"schema":{"type":"object","required":["title","kind"],"properties":{"title":{"type":"string","description":"It's shown"},"kind":{"type":"string","enum":["a","b"]},"body":{"type":"string"}}}}}},"responses":{"201":{"description":"Made"}}}},
 "/api/whoami-v2":{"get":{"tags":["auth"],"summary":"Whoami","description":"Says who the token is of.","responses":{}}},
 "/api/models/{namespace}/{repo}":{"delete":{"tags":["repos"],"summary":"Removes it","responses":{}},"get":{"tags":["repos"],"summary":"Model info","responses":{}}}
},
"components":{"parameters":{"Repo":{"name":"repo","in":"path","required":true,"schema":{"type":"string"},"example":"gpt2"}},
 "schemas":{"Discussions":{"type":"object","properties":{"items":{"type":"array","items":{"$ref":"#/components/schemas/Discussion"}},"self":{"$ref":"#/components/schemas/Discussions"}}},
  "Discussion":{"allOf":[{"type":"object","properties":{"num":{"type":"integer"}}},{"$ref":"#/components/schemas/Discussion"}]}}}}`
)
