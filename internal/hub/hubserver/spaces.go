package hubserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"ml-intern/internal/hub/hubserver/gitstore"
	"ml-intern/internal/hub/hubserver/space"
)

// spaceRoutes are the calls on a Space that no other repository has.
var spaceRoutes = []route{
	{"GET", "runtime", 0, false, see, (*Server).spaceRuntime},
	{"POST", "hardware", 0, false, write, (*Server).spaceHardware},
	{"POST", "sleeptime", 0, false, write, (*Server).spaceSleep},
	{"POST", "pause", 0, false, write, (*Server).pauseSpace},
	{"POST", "restart", 0, false, write, (*Server).restartSpace},
	{"POST", "dev-mode", 0, false, write, (*Server).spaceDevMode},
	{"PUT", "volumes", 0, false, write, (*Server).setVolumes},
	{"DELETE", "volumes", 0, false, write, (*Server).setVolumes},
	{"GET", "secrets", 0, false, write, (*Server).secrets},
	{"POST", "secrets", 0, false, write, (*Server).setSecret},
	{"DELETE", "secrets", 0, false, write, (*Server).deleteSecret},
	{"GET", "variables", 0, false, write, (*Server).variables},
	{"POST", "variables", 0, false, write, (*Server).setVariable},
	{"DELETE", "variables", 0, false, write, (*Server).deleteVariable},
	{"GET", "logs", 1, false, write, (*Server).spaceLogs},
}

// spaceRequest is what the body of a call that makes a Space has more than
// that of others.
type spaceRequest struct {
	Hardware  string          `json:"hardware"`
	Sleep     int             `json:"sleepTimeSeconds"`
	Secrets   []space.Setting `json:"secrets"`
	Variables []space.Setting `json:"variables"`
	Volumes   []space.Volume  `json:"volumes"`
	DevMode   bool            `json:"devModeEnabled"`
}

// newSpace is what is kept about a new Space.
func (s *Server) newSpace(in spaceRequest, sdk string) (json.RawMessage, error) {
	var st space.State
	now := time.Now().UTC()
	st.DevMode = in.DevMode
	var errs []error
	if in.Hardware != "" && sdk != "static" {
		errs = append(errs, st.SetHardware(in.Hardware, s.opts.PaidHardware, now))
	}
	if in.Sleep != 0 {
		errs = append(errs, st.SetSleep(in.Sleep))
	}
	for _, v := range in.Secrets {
		errs = append(errs, st.SetSecret(v, now))
	}
	for _, v := range in.Variables {
		errs = append(errs, st.SetVariable(v, now))
	}
	if len(in.Volumes) > 0 {
		errs = append(errs, st.SetVolumes(in.Volumes, now))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, spaceRefusal(err)
	}
	return json.Marshal(st)
}

func spaceRefusal(err error) error {
	switch {
	case errors.Is(err, space.ErrPayment):
		return refuse(http.StatusPaymentRequired, "PaymentRequired", err.Error())
	case errors.Is(err, space.ErrStatic), errors.Is(err, space.ErrInvalid):
		return badRequest(err.Error())
	}
	return err
}

// spaceState reads what is kept about a Space.
func spaceState(repo *gitstore.Repo) (space.State, error) {
	var st space.State
	if len(repo.Space) == 0 {
		return st, nil
	}
	if err := json.Unmarshal(repo.Space, &st); err != nil {
		return st, fmt.Errorf("read the state of Space %s: %w", repo, err)
	}
	return st, nil
}

// spaceSource is what a Space's repository says at a commit, whose card is
// given.
func (s *Server) spaceSource(repo *gitstore.Repo, commit gitstore.Commit, c card) (space.Source, error) {
	src := space.Source{SHA: commit.ID, Changed: repo.Modified, Paid: s.opts.PaidHardware}
	src.SDK, _ = c.data["sdk"].(string)
	src.AppFile, _ = c.data["app_file"].(string)
	standard := map[string]string{"gradio": "app.py", "streamlit": "app.py", "docker": "Dockerfile", "static": "index.html"}
	file, known := standard[src.SDK]
	switch {
	case !c.parsed.Found():
		src.Problem = "Missing configuration in README"
	case c.problem != "":
		src.Problem = "Invalid configuration in README: " + c.problem
	case src.SDK == "":
		src.Problem = "Missing sdk in README"
	case !known:
		src.Problem = fmt.Sprintf("Invalid sdk %q in README", src.SDK)
	}
	if src.AppFile == "" || src.SDK == "docker" {
		src.AppFile = file
	}
	if src.Problem != "" {
		return src, nil
	}
	e, err := s.store.Entry(commit, src.AppFile)
	if err != nil && !errors.Is(err, gitstore.ErrNoEntry) {
		return src, err
	}
	src.HasApp = err == nil && !e.Dir
	return src, nil
}

// look reads all there is to know of a Space.
func (s *Server) look(repo *gitstore.Repo) (space.State, space.Source, error) {
	st, err := spaceState(repo)
	if err != nil {
		return st, space.Source{}, err
	}
	commit, err := s.store.Resolve(repo, "main")
	if err != nil {
		return st, space.Source{}, err
	}
	readme, err := s.readFile(commit, "README.md")
	if err != nil {
		return st, space.Source{}, err
	}
	src, err := s.spaceSource(repo, commit, parseCard(readme))
	return st, src, err
}

func (s *Server) spaceRuntime(c *repoCall) error {
	l, err := s.live(c.Context(), c.repo)
	if err != nil {
		return err
	}
	return s.ok(c.exchange, l.runtime)
}

// changeSpace changes what is kept about a Space, and returns it.
func (s *Server) changeSpace(c *repoCall, change func(*space.State) error) (st space.State, err error) {
	ctx, cancel := c.detached()
	defer cancel()
	c.repo, err = s.store.Update(ctx, c.repo.RepoID, func(repo *gitstore.Repo) error {
		if st, err = spaceState(repo); err != nil {
			return err
		}
		if err := change(&st); err != nil {
			return spaceRefusal(err)
		}
		repo.Space, err = json.Marshal(st)
		return err
	})
	return st, err
}

// steer makes a change that only a Space with a program of its own can have,
// and answers how the Space is then.
func (s *Server) steer(c *repoCall, change func(*space.State) error) error {
	_, src, err := s.look(c.repo)
	if err != nil {
		return err
	}
	if src.SDK == "static" {
		return spaceRefusal(fmt.Errorf("%w: it has nothing that runs", space.ErrStatic))
	}
	if _, err := s.changeSpace(c, change); err != nil {
		return err
	}
	return s.spaceRuntime(c)
}

func (s *Server) spaceHardware(c *repoCall) error {
	var in struct {
		Flavor string `json:"flavor"`
		Sleep  *int   `json:"sleepTimeSeconds"`
	}
	if err := decode(c.exchange, &in); err != nil {
		return err
	}
	return s.steer(c, func(st *space.State) error {
		if in.Sleep != nil {
			if err := st.SetSleep(*in.Sleep); err != nil {
				return err
			}
		}
		return st.SetHardware(in.Flavor, s.opts.PaidHardware, time.Now().UTC())
	})
}

func (s *Server) spaceSleep(c *repoCall) error {
	var in struct {
		Seconds int `json:"seconds"`
	}
	if err := decode(c.exchange, &in); err != nil {
		return err
	}
	return s.steer(c, func(st *space.State) error { return st.SetSleep(in.Seconds) })
}

func (s *Server) pauseSpace(c *repoCall) error {
	return s.steer(c, func(st *space.State) error {
		st.Pause()
		return nil
	})
}

func (s *Server) restartSpace(c *repoCall) error {
	factory := truth(c.URL.Query().Get("factory"))
	return s.steer(c, func(st *space.State) error {
		st.Restart(factory, time.Now().UTC())
		return nil
	})
}

func (s *Server) spaceDevMode(c *repoCall) error {
	var in struct {
		Enabled bool `json:"enabled"`
	}
	if err := decode(c.exchange, &in); err != nil {
		return err
	}
	return s.steer(c, func(st *space.State) error {
		st.DevMode = in.Enabled
		return nil
	})
}

func (s *Server) setVolumes(c *repoCall) error {
	var in struct {
		Volumes []space.Volume `json:"volumes"`
	}
	if c.Method == http.MethodPut {
		if err := decode(c.exchange, &in); err != nil {
			return err
		}
	}
	return s.steer(c, func(st *space.State) error { return st.SetVolumes(in.Volumes, time.Now().UTC()) })
}

// secrets tells all of the secrets but what they are.
func (s *Server) secrets(c *repoCall) error {
	st, err := spaceState(c.repo)
	if err != nil {
		return err
	}
	out := map[string]any{}
	for key, v := range st.Secrets {
		out[key] = map[string]any{"key": key, "description": v.Description, "updatedAt": stamp(v.Updated)}
	}
	return s.ok(c.exchange, out)
}

func (s *Server) setSecret(c *repoCall) error {
	var in space.Setting
	if err := decode(c.exchange, &in); err != nil {
		return err
	}
	if _, err := s.changeSpace(c, func(st *space.State) error { return st.SetSecret(in, time.Now().UTC()) }); err != nil {
		return err
	}
	return s.ok(c.exchange, map[string]any{})
}

func (s *Server) deleteSecret(c *repoCall) error {
	var in space.Setting
	if err := decode(c.exchange, &in); err != nil {
		return err
	}
	_, err := s.changeSpace(c, func(st *space.State) error {
		st.DeleteSecret(in.Key, time.Now().UTC())
		return nil
	})
	if err != nil {
		return err
	}
	return s.ok(c.exchange, map[string]any{})
}

func (s *Server) variables(c *repoCall) error {
	st, err := spaceState(c.repo)
	if err != nil {
		return err
	}
	return s.tellVariables(c, st)
}

func (s *Server) tellVariables(c *repoCall, st space.State) error {
	out := map[string]any{}
	for key, v := range st.Variables {
		out[key] = map[string]any{"key": key, "value": v.Value, "description": v.Description, "updatedAt": stamp(v.Updated)}
	}
	return s.ok(c.exchange, out)
}

func (s *Server) setVariable(c *repoCall) error {
	var in space.Setting
	if err := decode(c.exchange, &in); err != nil {
		return err
	}
	st, err := s.changeSpace(c, func(st *space.State) error { return st.SetVariable(in, time.Now().UTC()) })
	if err != nil {
		return err
	}
	return s.tellVariables(c, st)
}

func (s *Server) deleteVariable(c *repoCall) error {
	var in space.Setting
	if err := decode(c.exchange, &in); err != nil {
		return err
	}
	st, err := s.changeSpace(c, func(st *space.State) error {
		st.DeleteVariable(in.Key, time.Now().UTC())
		return nil
	})
	if err != nil {
		return err
	}
	return s.tellVariables(c, st)
}

// spaceLogs sends a Space's log, which never ends.
func (s *Server) spaceLogs(c *repoCall) error {
	kind := c.args[0]
	if !slices.Contains([]string{"run", "build"}, kind) {
		return noRoute(c.exchange)
	}
	l, err := s.live(c.Context(), c.repo)
	if err != nil {
		return err
	}
	out := s.stream(c.exchange)
	defer out.close()
	var last time.Time
	for {
		lines := l.log(kind, time.Now())
		for _, l := range lines {
			if !l.Time.After(last) {
				continue
			}
			last = l.Time
			if err := out.send(newLogEvent(l.Time, l.Text+"\n")); err != nil {
				return err
			}
		}
		if !out.wait() {
			return nil
		}
		repo, err := s.store.Repo(c.repo.RepoID)
		if err != nil { // deleted or moved: what is to come is elsewhere
			return nil //nolint:nilerr // the answer is under way, and it is whole
		}
		if l, err = s.live(c.Context(), repo); err != nil {
			return err
		}
	}
}

// log is what the build or the program has printed until now.
func (l livingSpace) log(kind string, now time.Time) []space.Line {
	if kind == "build" {
		return l.state.BuildLog(l.source, now)
	}
	if !l.runs {
		return l.state.RunLog(l.source, now)
	}
	var lines []space.Line
	for i, text := range l.process.Log { // when each came is not known
		lines = append(lines, space.Line{Time: l.state.Started.Add(time.Duration(i+1) * time.Millisecond), Text: text})
	}
	return lines
}

// spaceTemplates lists repositories to begin a Space from: there are none.
func (s *Server) spaceTemplates(x *exchange) error {
	return s.ok(x, map[string]any{"templates": []any{}})
}
