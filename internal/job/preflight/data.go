package preflight

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"ml-intern/internal/hub"
	"ml-intern/internal/lazyregexp"
)

// A source is a data set of the Hub that the script loads.
type source struct {
	repo     hub.RepoID
	revision string
	loads    []load
	configs  map[string]hub.ConfigInfo // nil if they are not known
	standard string                    // the configuration that is meant by none
}

// A load is one call of load_dataset.
type load struct {
	call
	path, config, split string
	sureConfig          bool
}

// builders are names for files of a format, not data sets of the Hub.
var builders = []string{"json", "csv", "parquet", "text", "arrow", "pandas", "xml", "imagefolder", "audiofolder", "videofolder", "webdataset", "generator", "sql", "hdf5", "lance", "spark"}

// loads lists the calls that load data sets of the Hub.
func (c *check) loads() []load {
	var found []load
	for _, k := range c.facts.named("load_dataset", "load_dataset_builder", "get_dataset_split_names", "get_dataset_config_names") {
		if k.Recv != nil {
			continue
		}
		name, split := k.arg(1, "name"), k.arg(-1, "split")
		l := load{call: k, path: k.arg(0, "path").text(), config: name.text(), split: split.text()}
		l.sureConfig = !k.Star && (!name.given() || name.Kind == "const") && !k.arg(2, "data_dir").given() && !k.arg(3, "data_files").given()
		if l.path != "" && !slices.Contains(builders, l.path) && !c.isFolder(l.path) && !k.Guarded {
			found = append(found, l)
		}
	}
	return found
}

// data checks the data sets of the Hub, and then their columns.
func (c *check) data(ctx context.Context) {
	sources := map[string]*source{}
	for _, l := range c.loads() {
		rev := l.arg(-1, "revision")
		if rev.given() && rev.Kind != "const" {
			continue
		}
		repo, err := hub.ParseRepo(hub.Dataset, l.path)
		if err != nil {
			c.fail(Finding{Code: CodeDataset, Line: l.Line, Text: fmt.Sprintf("%q is no name of a data set", l.path), Fix: "write owner/name"})
			continue
		}
		key := l.path + "@" + rev.text()
		if sources[key] == nil {
			sources[key] = &source{repo: repo, revision: rev.text()}
		}
		sources[key].loads = append(sources[key].loads, l)
	}
	if len(sources) > 0 && c.Hub == nil {
		c.note(CodeUnchecked, "data sets were not checked: there is no Hub here")
	} else {
		var wg sync.WaitGroup
		for _, s := range sources {
			wg.Go(func() { c.inspect(ctx, s) })
		}
		wg.Wait()
	}
	c.columns(sources)
	c.size = c.train.rowsOf(sources)
}

func (c *check) inspect(ctx context.Context, s *source) {
	info, err := c.Hub.RepoInfo(ctx, s.repo, s.revision)
	if !c.reachable(ctx, CodeDataset, "data set", s.repo, s.loads[0].Line, info, err) {
		return
	}
	if s.revision != "" && s.revision != "main" {
		return // the viewer knows the newest alone
	}
	of, err := c.datasetInfo(ctx, s.repo)
	if err != nil || of.Partial && len(of.Configs) == 0 || len(of.Failed)+len(of.Pending) > 0 {
		c.note(CodeUnchecked, "the columns of %s were not checked: the viewer does not have them%s", nameOf(s.repo), because(err))
		return
	}
	s.configs, s.standard = of.Configs, standard(info.Card)
	for _, l := range s.loads {
		c.split(s, l)
	}
}

func because(err error) string {
	if err == nil {
		return ""
	}
	return ": " + brief(err.Error())
}

// datasetInfo is what the Hub's viewer knows of a data set.
func (c *check) datasetInfo(ctx context.Context, repo hub.RepoID) (hub.DatasetInfo, error) {
	if once, ok := c.Hub.(askedHub); ok {
		return once.DatasetInfo(ctx, repo)
	}
	return c.Hub.Viewer(repo).Info(ctx, "")
}

// reachable says what is wrong with a repository that is read.
func (c *check) reachable(ctx context.Context, code, kind string, repo hub.RepoID, line int, info hub.Info, err error) bool {
	name := nameOf(repo)
	switch {
	case err == nil:
	case errors.Is(err, hub.ErrGated):
		c.fail(Finding{Code: CodeAccess, Line: line, Text: fmt.Sprintf("the %s %s is gated, and this account has no access", kind, name), Fix: "ask for access on its page, or use another"})
		return false
	case errors.Is(err, hub.ErrNoRevision):
		c.fail(Finding{Code: code, Line: line, Text: fmt.Sprintf("the %s %s has no such revision", kind, name), Fix: "look its revisions up"})
		return false
	case errors.Is(err, hub.ErrNotFound), errors.Is(err, hub.ErrUnauthorized):
		c.fail(Finding{Code: code, Line: line, Text: fmt.Sprintf("there is no %s %s that this account can see", kind, name), Fix: "correct its name; search the Hub for it"})
		return false
	default:
		c.note(CodeUnchecked, "the %s %s was not checked: %s", kind, name, brief(err.Error()))
		return false
	}
	if info.Disabled {
		c.fail(Finding{Code: CodeAccess, Line: line, Text: fmt.Sprintf("the %s %s is disabled", kind, name), Fix: "use another"})
	}
	if info.Gated == "" && !info.Private {
		return true
	}
	c.mu.Lock()
	c.private = append(c.private, name)
	c.mu.Unlock()
	if err := c.Hub.CheckAccess(ctx, repo, false); errors.Is(err, hub.ErrGated) || errors.Is(err, hub.ErrUnauthorized) {
		c.fail(Finding{Code: CodeAccess, Line: line, Text: fmt.Sprintf("the %s %s is gated, and this account has no access", kind, name), Fix: "ask for access on its page, or use another"})
		return false
	}
	return true
}

// split checks the configuration and the split of one load.
func (c *check) split(s *source, l load) {
	if !l.sureConfig || len(s.configs) == 0 {
		return
	}
	names := slices.Sorted(maps.Keys(s.configs))
	config, ok := s.config(l.config)
	if !ok && l.config == "" {
		c.fail(Finding{Code: CodeDataset, Line: l.Line, Text: fmt.Sprintf("the data set %s has several configurations, and none is named", l.path), Fix: "name one: " + few(names)})
		return
	}
	if !ok {
		c.fail(Finding{Code: CodeDataset, Line: l.Line, Text: fmt.Sprintf("the data set %s has no configuration %s", l.path, l.config), Fix: "it has " + few(names)})
		return
	}
	for _, part := range strings.Split(l.split, "+") {
		name := splitName.FindString(strings.TrimSpace(part))
		if _, ok := config.Splits[name]; name != "" && name != "all" && !ok && len(config.Splits) > 0 {
			c.fail(Finding{Code: CodeDataset, Line: l.Line, Text: fmt.Sprintf("the data set %s has no split %s", l.path, name), Fix: "it has " + few(slices.Sorted(maps.Keys(config.Splits)))})
		}
	}
}

var splitName = lazyregexp.New(`^[\w.-]+`)

// config is the configuration that a load gets.
func (s *source) config(name string) (hub.ConfigInfo, bool) {
	if name == "" && len(s.configs) == 1 {
		for _, only := range s.configs {
			return only, true
		}
	}
	c, ok := s.configs[cmp.Or(name, s.standard, "default")]
	return c, ok
}

// standard is the configuration that a card calls the default, "" if it calls
// none so.
func standard(card map[string]any) string {
	configs, _ := card["configs"].([]any)
	for _, c := range configs {
		config, _ := c.(map[string]any)
		if is, _ := config["default"].(bool); is {
			name, _ := config["config_name"].(string)
			return name
		}
	}
	return ""
}

func few(names []string) string {
	if len(names) > 12 {
		return strings.Join(names[:12], ", ") + fmt.Sprintf(" and %d more", len(names)-12)
	}
	return strings.Join(names, ", ")
}

// nameOf is a repository as scripts write it.
func nameOf(repo hub.RepoID) string {
	if repo.Namespace == "" {
		return repo.Name
	}
	return repo.Namespace + "/" + repo.Name
}
