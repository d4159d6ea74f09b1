package mlintern

import (
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strings"
	"testing"
)

// floors says which of our packages each package may import. A package may
// name only packages on lines above its own, so there are no cycles. Tests are
// free, and so are the helpers named after what they help (llmtest, hubtest …).
//
// Do not add to a line to fix a build: move the code, or pass the value in.
const floors = `
lazyregexp:
durable:
llm:
picture:        llm
clipboard:
config:         durable
ledger:
secret:
instruction:
strongbox:      durable
hook:
confine/gitdir:
confine:        confine/gitdir
caches:
fetch:
hfdocs:         fetch
github:         fetch
pdftext:
paper:          fetch pdftext
webpage:
websearch:      fetch webpage
egress:         fetch
markup:
hub/feature:
hub/weights:
hub:            hub/feature hub/weights
hub/card:       hub/feature
dataset:
dataset/format:
hub/login:      hub
hub/hubserver/grant:
hub/hubserver/gitstore: hub
hub/cache:      hub
hub/hubserver/githttp: hub hub/hubserver/gitstore
hub/hubserver/users: hub
hub/hubserver/web: markup
hub/hubserver/community: hub hub/hubserver/gitstore
hub/hubserver/space:
hub/hubserver/collection:
hub/hubserver/webhook:
hub/hubserver/rows: hub/feature hub/card
hub/hubserver/cron:
hub/hubserver:  hub hub/card hub/feature hub/weights hub/hubserver/gitstore hub/hubserver/githttp hub/hubserver/users hub/hubserver/grant hub/hubserver/web hub/hubserver/community hub/hubserver/space hub/hubserver/collection hub/hubserver/webhook hub/hubserver/rows hub/hubserver/cron markup
llm/wire:       llm
llm/openai:     llm llm/wire
llm/anthropic:  llm llm/wire
llm/replay:     llm llm/wire secret
llm/redact:     llm secret
llm/baseline:   llm
llm/catalog:    llm config
tool:           llm
approval/shell:
approval:       llm tool approval/shell
session:        llm tool ledger approval instruction
session/sqlite: session llm
session/export: llm approval session hub/hubserver/web markup
telemetry:      llm tool ledger session
notify:         durable llm session
trace:          llm session hub secret
sandbox:        hub confine
sandbox/remote: sandbox
sandbox/space:  hub sandbox sandbox/remote durable
checkpoint:
job:            hub ledger durable
sparkline:
job/series:     sparkline
job/report:     job
job/watch:      job job/series job/report durable
job/local:      job hub sandbox confine egress durable
job/ssh:        job sandbox secret
job/slurm:      job sandbox
job/ray:        job sandbox secret
sandbox/hubspaces: hub/hubserver sandbox
job/preflight:  job hub hub/weights dataset/format secret durable
job/hubjobs:    job hub hub/hubserver sandbox
job/hfjobs:     job hub sandbox secret
experiment:     job
mcp:            llm picture tool strongbox
skill:          durable llm tool
agent:          llm tool session approval ledger hook
tools:          llm picture tool secret egress sandbox dataset dataset/format job job/preflight job/watch job/report job/series experiment hub hub/card hub/cache fetch webpage websearch hfdocs github paper
app:            durable caches instruction session/export egress llm config ledger fetch hfdocs github paper pdftext websearch hub dataset hub/cache hub/login hub/hubserver hub/hubserver/users llm/openai llm/anthropic llm/replay llm/baseline llm/catalog tool session session/sqlite approval hook sandbox job job/local job/ssh job/slurm job/ray job/hfjobs job/hubjobs job/preflight job/watch experiment agent tools sandbox/remote sandbox/space sandbox/hubspaces checkpoint secret llm/redact confine mcp telemetry skill notify trace strongbox
chat:           llm picture clipboard tool session approval agent app config ledger
cli:            caches llm picture tool job session approval agent app config ledger chat
acp:            session approval app config llm tool chat
web:            session approval app config llm tool ledger chat lazyregexp
tui/style:
tui/highlight:  tui/style
tui/markdown:   tui/style tui/highlight
tui/diff:       tui/style
tui/plot:       tui/style sparkline
tui/edit:       tui/style
tui/find:
tui:            llm picture tool session approval ledger config app chat tui/style tui/highlight tui/markdown tui/diff tui/plot tui/edit tui/find
cmd/ml-intern:  config chat tui cli app acp web
`

// helpers of tests may import what they help, and each other.
var testHelpers = []string{"llm/llmtest", "hub/hubtest", "session/sessiontest", "job/jobtest", "sandbox/sandboxtest", "paper/papertest", "fetch/fetchtest", "github/githubtest", "hfdocs/hfdocstest", "websearch/websearchtest", "telemetry/telemetrytest"}

// everywhere says what every package may import besides: it stands for one of
// the standard library.
var everywhere = []string{"lazyregexp"}

func TestFloors(t *testing.T) {
	may := map[string][]string{}
	for line := range strings.Lines(strings.TrimSpace(floors)) {
		name, deps, _ := strings.Cut(strings.TrimSpace(line), ":")
		for _, dep := range strings.Fields(deps) {
			if _, above := may[dep]; !above {
				t.Errorf("%s may not import %s: it is not on a line above", name, dep)
			}
		}
		may[name] = strings.Fields(deps)
	}
	seen := map[string]bool{}
	for _, file := range goFiles(t) {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		name := strings.TrimPrefix(path.Dir(file), "internal/")
		if slices.Contains(testHelpers, name) || strings.HasPrefix(name, "bench") || strings.Contains(file, "/testdata/") {
			continue
		}
		seen[name] = true
		deps, known := may[name]
		if !known {
			t.Errorf("package %s has no line in floors", name)
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, im := range f.Imports {
			dep, ours := strings.CutPrefix(strings.Trim(im.Path.Value, `"`), "ml-intern/internal/")
			if ours && !slices.Contains(deps, dep) && !slices.Contains(everywhere, dep) {
				t.Errorf("%s imports %s: floors does not allow it", file, dep)
			}
		}
	}
	for name := range may {
		if !seen[name] {
			t.Errorf("floors has a line for %s, which does not exist", name)
		}
	}
}
