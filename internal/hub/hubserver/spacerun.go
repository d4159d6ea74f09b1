package hubserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/gitstore"
	"ml-intern/internal/hub/hubserver/space"
)

// Spaces runs the programs of Spaces. Those of a Server that has none are
// taken to be running.
type Spaces interface {
	// Run sees to it that a program runs, as it is said, and tells how it is. One
	// that ended by itself is not started again under the same Start.
	Run(ctx context.Context, p SpaceProgram) SpaceProcess

	// Visit says that somebody uses a program, and Visited when that was last.
	Visit(id string)
	Visited(id string) time.Time

	// Stop ends the program of a Space, if it runs.
	Stop(id string)
}

// A SpaceProgram is what a Space runs: this program as a sandbox.
type SpaceProgram struct {
	ID    string                        // of the Space
	Start string                        // another one is another start, from an empty disk
	Name  string                        // of the file: another one has other content
	Sleep time.Duration                 // without a visit, until it is stopped; 0 for ever
	Open  func() (io.ReadCloser, error) // the file
	Env   map[string]string             // its variables and secrets
}

// A SpaceProcess is how a program is.
type SpaceProcess struct {
	Addr  string   // HOST:PORT, once it listens
	Error string   // why it ended
	Log   []string // the last lines that it printed
}

// visitPrefix begins the addresses at which the programs of Spaces answer.
const visitPrefix = "hf.space"

// A livingSpace is a Space as it is now.
type livingSpace struct {
	state   space.State
	source  space.Source
	runtime space.Runtime
	process SpaceProcess
	runs    bool // its program is run here
}

// live looks at a Space, and sees to it that its program runs if it should.
func (s *Server) live(ctx context.Context, repo *gitstore.Repo) (l livingSpace, err error) {
	if l.state, l.source, err = s.look(repo); err != nil {
		return l, err
	}
	l.runtime = l.state.Runtime(l.source, time.Now())
	if s.opts.Spaces == nil || l.source.SDK != "docker" || !l.source.HasApp || l.source.Problem != "" {
		return l, nil
	}
	p, err := s.program(repo, l.state, l.source)
	if err != nil || p.ID == "" {
		return l, err
	}
	l.runs, l.source.Visited = true, s.opts.Spaces.Visited(repo.ID)
	if p.Open == nil {
		l.source.Missing = p.Name
	}
	l.runtime = l.state.Runtime(l.source, time.Now())
	if l.runtime.Stage != "RUNNING" && l.runtime.Stage != "APP_STARTING" {
		s.opts.Spaces.Stop(repo.ID)
		return l, nil
	}
	l.process = s.opts.Spaces.Run(ctx, p)
	l.runtime.Follow(l.process.Addr != "", l.process.Error)
	return l, nil
}

// program is what a Space runs. Without an ID it is something that this server
// cannot run, and without Open the file of that name is not there.
func (s *Server) program(repo *gitstore.Repo, st space.State, src space.Source) (p SpaceProgram, err error) {
	commit, err := s.store.ReadCommit(src.SHA)
	if err != nil {
		return p, err
	}
	text, err := s.readFile(commit, src.AppFile)
	if err != nil {
		return p, err
	}
	file := space.ReadRecipe(string(text)).Sandbox()
	if file == "" {
		return p, nil
	}
	p = SpaceProgram{
		ID: repo.ID, Start: fmt.Sprintf("%s %d %d", src.SHA, st.Started.UnixNano(), st.Built.UnixNano()),
		Name: file, Sleep: st.SleepAfter(), Env: st.Environ(repo.String(), subdomain(repo.RepoID)+"."+visitPrefix),
	}
	e, err := s.store.Entry(commit, file)
	if errors.Is(err, gitstore.ErrNoEntry) || err == nil && e.Dir {
		return p, nil
	}
	if err != nil {
		return p, err
	}
	f, err := s.store.File(e.OID)
	if err != nil {
		return p, err
	}
	p.Name, p.Open = f.OID, func() (io.ReadCloser, error) {
		if f.Large != nil {
			return s.store.OpenLarge(f.Large.OID)
		}
		data, err := s.store.Blob(f.OID)
		return io.NopCloser(strings.NewReader(string(data))), err
	}
	return p, nil
}

// tellHost adds to a Space's description where its program answers: here that
// is a path, for a host of its own needs a name that is known to the network.
func (s *Server) tellHost(x *exchange, v map[string]any, id hub.RepoID) {
	if s.opts.Spaces != nil && id.Type == hub.Space {
		v["host"] = x.base() + "/" + visitPrefix + "/" + id.Namespace + "/" + id.Name
	}
}

// visit leads a request to the program of a Space, which who may read the
// Space may use. One that sleeps is woken.
func (s *Server) visit(x *exchange, seg []string) error {
	if len(seg) < 2 || s.opts.Spaces == nil {
		return noRoute(x)
	}
	c, err := s.repoCall(x, hub.RepoID{Type: hub.Space, Namespace: seg[0], Name: seg[1]}, read)
	if err != nil {
		return err
	}
	l, err := s.live(c.Context(), c.repo)
	if err != nil {
		return err
	}
	s.opts.Spaces.Visit(c.repo.ID)
	if l.runtime.Stage == "SLEEPING" {
		if _, err := s.changeSpace(c, func(st *space.State) error { st.Restart(false, time.Now().UTC()); return nil }); err != nil {
			return err
		}
	}
	if l.process.Addr == "" {
		x.Header().Set("Retry-After", "1")
		return refuse(http.StatusServiceUnavailable, "SpaceNotRunning", "the Space is "+l.runtime.Stage)
	}
	defer s.opts.Spaces.Visit(c.repo.ID)
	_, path, _ := strings.Cut(strings.TrimPrefix(x.URL.EscapedPath(), "/"+visitPrefix+"/"), "/")
	_, path, _ = strings.Cut(path, "/")
	s.visitor(l.process.Addr, path).ServeHTTP(x, x.Request)
	return nil
}

// visitor leads requests on. The Hub's own token stays here.
func (s *Server) visitor(addr, path string) http.Handler {
	return &httputil.ReverseProxy{
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			target := &url.URL{Scheme: "http", Host: addr, Path: "/"}
			r.Out.URL = target.JoinPath(path)
			r.Out.URL.RawQuery, r.Out.Host = r.In.URL.RawQuery, ""
			r.Out.Header.Del("Authorization")
			r.Out.Header.Del("Cookie")
		},
		ModifyResponse: func(resp *http.Response) error {
			resp.Header.Del("Set-Cookie")
			resp.Header.Set("Content-Security-Policy", "sandbox") // it is no page of this server
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if !errors.Is(err, context.Canceled) {
				s.log.Warn("hub server could not reach a Space", "error", withoutURL(err))
			}
			http.Error(w, "the Space does not answer", http.StatusBadGateway)
		},
	}
}
