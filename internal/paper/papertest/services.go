package papertest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

func hubPaper(id, title string) object {
	return object{
		"id": id, "title": title, "summary": "Summary of " + title + ".", "publishedAt": "2024-01-01T00:00:00.000Z", "upvotes": 7, "ai_keywords": []string{"gradient sleep"},
		"authors": []object{{"_id": "1", "name": "Ada Byron", "hidden": false}, {"_id": "2", "name": "Nobody", "hidden": true}}, "githubRepo": "https://github.com/ada/sleep", "githubStars": 12,
		"numTotalModels": 3, "numTotalDatasets": 2, "numTotalSpaces": 1, "future": object{"unknown": true},
	}
}

func (w *World) hub(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/daily_papers", func(rw http.ResponseWriter, r *http.Request) {
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		list := []object{}
		for i := range limit {
			title := fmt.Sprintf("Daily %d", i)
			if i == 25 {
				title = "Naps for Transformers"
			}
			list = append(list, object{"title": title, "paper": hubPaper(fmt.Sprintf("2401.%05d", i+1), title), "numComments": 1})
		}
		send(rw, list)
	})
	mux.HandleFunc("GET /api/papers/search", func(rw http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Query().Get("q"), "nonsense") {
			send(rw, []object{})
			return
		}
		send(rw, []object{{"paper": hubPaper(Known, "Sleeping Gradients")}, hubPaper("2403.00009", "Other")})
	})
	mux.HandleFunc("GET /api/papers/{id}", func(rw http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") != Known {
			rw.Header().Set("X-Error-Code", "EntryNotFound")
			rw.WriteHeader(http.StatusNotFound)
			send(rw, object{"error": "Paper not found"})
			return
		}
		send(rw, hubPaper(Known, "Sleeping Gradients"))
	})
	for _, kind := range []string{"models", "datasets", "spaces"} {
		mux.HandleFunc("GET /api/"+kind, func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("filter") != "arxiv:"+Known {
				send(rw, []object{})
				return
			}
			send(rw, []object{{"id": "ada/" + kind, "downloads": 1234, "likes": 5, "tags": []string{"arxiv:" + Known, "region:us", "en"}, "pipeline_tag": "text-generation"}})
		})
	}
	mux.HandleFunc("GET /api/collections", func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("item") != "papers/"+Known {
			send(rw, []object{})
			return
		}
		send(rw, []object{{"slug": "ada/sleep-123", "title": "Sleep", "owner": object{"name": "ada"}, "upvotes": 2, "items": []object{{}, {}, {}, {}}}})
	})
}

// ScholarPaper is a paper as Semantic Scholar describes it.
func ScholarPaper(id, title string, citations int) object {
	return object{
		"paperId": "s2" + title, "title": title, "year": 2024, "publicationDate": nil, "citationCount": citations, "influentialCitationCount": 1, "venue": "ICLR",
		"externalIds": object{"ArXiv": id, "CorpusId": 77}, "tldr": object{"model": "tldr@v2", "text": "In short, " + title}, "authors": []object{{"authorId": "1", "name": "Ada Byron"}},
	}
}

func (w *World) scholar(mux *http.ServeMux) {
	search := func(rw http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Query().Get("query"), "nonsense") {
			send(rw, object{"total": 0, "offset": 0})
			return
		}
		send(rw, object{"total": 90, "offset": 0, "next": 10, "data": []object{ScholarPaper(Known, "Cited Much", 900), ScholarPaper("2403.00004", "Cited More", 1000)}})
	}
	mux.HandleFunc("GET /graph/v1/paper/search", search)
	mux.HandleFunc("GET /graph/v1/paper/search/bulk", search)
	mux.HandleFunc("GET /graph/v1/paper/{id}", func(rw http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") != "ARXIV:"+Known {
			rw.WriteHeader(http.StatusNotFound)
			send(rw, object{"error": "Paper with id " + r.PathValue("id") + " not found"})
			return
		}
		send(rw, ScholarPaper(Known, "Sleeping Gradients", 42))
	})
	for kind, end := range map[string]string{"citations": "citingPaper", "references": "citedPaper"} {
		mux.HandleFunc("GET /graph/v1/paper/{id}/"+kind, func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("offset") == "0" { // documented: a first page may be empty
				send(rw, object{"offset": 0, "next": 500, "data": []object{}})
				return
			}
			edge := func(n, cites int, matters bool) object {
				return object{"isInfluential": matters, "contexts": []string{"As shown by them."}, "intents": []string{"methodology"}, end: ScholarPaper("", fmt.Sprintf("Edge %d", n), cites)}
			}
			send(rw, object{"offset": 500, "data": []object{edge(1, 5, false), edge(2, 50, false), edge(3, 1, true), {end: object{"paperId": nil, "title": nil}}}})
		})
	}
	mux.HandleFunc("GET /graph/v1/snippet/search", func(rw http.ResponseWriter, r *http.Request) {
		snippet := func(corpus any, text string) object {
			return object{"score": 0.5, "paper": object{"corpusId": corpus, "title": "Found Paper"}, "snippet": object{"text": text, "snippetKind": "body", "section": "Method"}}
		}
		send(rw, object{"data": []object{snippet("11", "First passage."), snippet(12, "Second passage.")}, "retrievalVersion": "v1"})
	})
	mux.HandleFunc("POST /graph/v1/paper/batch", func(rw http.ResponseWriter, _ *http.Request) {
		send(rw, []any{ScholarPaper(Known, "Found Paper", 3), nil})
	})
	recommend := func(rw http.ResponseWriter, _ *http.Request) {
		send(rw, object{"recommendedPapers": []object{ScholarPaper("2405.00001", "Alike", 8)}})
	}
	mux.HandleFunc("GET /recommendations/v1/papers/forpaper/{id}", recommend)
	mux.HandleFunc("POST /recommendations/v1/papers/", recommend)
}
