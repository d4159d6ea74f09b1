package web

import (
	"net/http"
	"sync"
	"time"

	"ml-intern/internal/app"
	"ml-intern/internal/chat"
	"ml-intern/internal/config"
)

// routes are the paths of the API.
func (s *server) routes() []route {
	type by = map[string]door
	one := "/api/sessions/{id}"
	return []route{
		{path: "/api/login", methods: by{"POST": s.login}, free: true},
		{path: "/api/logout", methods: by{"POST": s.logout}, free: true},
		{path: "/api/server", methods: by{"GET": s.about}},
		{path: "/api/sessions", methods: by{"GET": s.list, "POST": s.newSession}},
		{path: one, methods: by{"GET": s.show, "PATCH": s.change, "DELETE": s.remove}},
		{path: one + "/events", methods: by{"GET": s.events}},
		{path: one + "/prompts", methods: by{"POST": s.prompt}},
		{path: one + "/stop", methods: by{"POST": s.stop}},
		{path: one + "/continue", methods: by{"POST": s.goOn}},
		{path: one + "/unqueue", methods: by{"POST": s.unqueue}},
		{path: one + "/answers", methods: by{"POST": s.answers}},
		{path: one + "/answers/preview", methods: by{"POST": s.preview}},
		{path: one + "/fork", methods: by{"POST": s.fork}},
		{path: one + "/export", methods: by{"GET": s.export}},
		{path: one + "/jobs", methods: by{"GET": s.jobs}},
		{path: one + "/agents/{call_id}/events", methods: by{"GET": s.agentEvents}},
	}
}

// modelList remembers the models: to list them asks servers.
type modelList struct {
	mu    sync.Mutex
	at    time.Time
	items []chat.Item
}

// modelsFor is how long a list counts.
const modelsFor = time.Minute

func (l *modelList) get(s *server) []chat.Item {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.items == nil || time.Since(l.at) > modelsFor {
		l.items, l.at = chat.ModelItems(s.ctx, s.home), time.Now()
	}
	return l.items
}

// about says what this server is and what can be chosen.
func (s *server) about(w http.ResponseWriter, _ *http.Request) error {
	type model struct {
		ID    string `json:"id"`
		Title string `json:"title,omitempty"`
	}
	type command struct {
		Name string `json:"name"`
		Args string `json:"args"`
		Help string `json:"help"`
	}
	out := struct {
		Version    string    `json:"version"`
		Dir        string    `json:"dir"`
		Models     []model   `json:"models"`
		Efforts    []string  `json:"efforts"`
		Modes      []string  `json:"modes"`
		Model      string    `json:"model"`
		Mode       string    `json:"mode"`
		Hub        string    `json:"hub"`
		Unconfined bool      `json:"unconfined"`
		Notes      []string  `json:"notes"`
		Commands   []command `json:"commands"`
	}{
		Version: app.Version(), Dir: s.home.Dir, Models: []model{}, Efforts: efforts(), Modes: config.Words("approve"),
		Model: s.home.Model, Mode: s.home.Approve, Hub: s.library.HubName(), Unconfined: s.home.Unconfined, Notes: list(s.home.Notes()), Commands: []command{},
	}
	if out.Model == "" {
		out.Model = s.library.DefaultModel()
	}
	for _, m := range s.models.get(s) {
		out.Models = append(out.Models, model{m.ID, m.Detail})
	}
	for _, c := range chat.Builtins() {
		if notHere(c.Name) == nil {
			out.Commands = append(out.Commands, command{c.Name, c.Args, c.Help})
		}
	}
	write(w, http.StatusOK, out)
	return nil
}
