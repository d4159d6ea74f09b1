package githttp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"ml-intern/internal/hub/hubserver/gitstore"
)

// UploadPack answers what clone and fetch ask, by the name that git has for
// it.
func (s *Server) UploadPack(w http.ResponseWriter, r *http.Request, repo *gitstore.Repo) error {
	p, err := body(w, r, maxFetchBody)
	if err != nil {
		return err
	}
	x := &exchange{s: s, repo: repo, w: w, out: &pktWriter{w: w}, f: newFetch()}
	if protocol(r) == 2 {
		return x.command(p)
	}
	return x.fetch0(p)
}

// An exchange is one request to fetch, and its answer.
type exchange struct {
	s    *Server
	repo *gitstore.Repo
	w    http.ResponseWriter
	out  *pktWriter
	f    *fetch
	g    *graph
}

func (x *exchange) begin() {
	x.w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
	noCache(x.w)
}

// command answers version 2.
func (x *exchange) command(p pktReader) error {
	command := ""
	for {
		kind, line, err := p.line()
		if errors.Is(err, io.EOF) && command == "" {
			return nil // git's way to see whether it is let in
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrRequest, err)
		}
		if kind == pktFlush {
			return x.run(command, pktReader{bufio.NewReader(strings.NewReader("0000"))})
		}
		if kind == pktDelim {
			return x.run(command, p)
		}
		if name, ok := strings.CutPrefix(line, "command="); ok {
			command = name
		}
	}
}

func (x *exchange) run(command string, p pktReader) error {
	switch command {
	case "":
		return nil
	case "ls-refs":
		return x.listRefs(p)
	case "fetch":
		if err := x.f.readArgs(p); err != nil {
			return err
		}
		return x.fetch2()
	}
	return fmt.Errorf("%w: the command %.50q is not known", ErrRequest, command)
}

const maxPrefixes = 10_000

func (x *exchange) listRefs(p pktReader) error {
	var prefixes []string
	args := map[string]bool{}
	for {
		kind, line, err := p.line()
		if err != nil || kind == pktDelim {
			return fmt.Errorf("%w: the list of refs is asked for wrongly", ErrRequest)
		}
		if kind == pktFlush {
			break
		}
		if prefix, ok := strings.CutPrefix(line, "ref-prefix "); ok && len(prefixes) < maxPrefixes {
			prefixes = append(prefixes, prefix)
			continue
		}
		args[line] = true
	}
	wanted := func(ref string) bool {
		return len(prefixes) == 0 || slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(ref, prefix) })
	}
	x.begin()
	if head := x.repo.Refs[gitstore.MainBranch]; head != "" && wanted("HEAD") {
		tail := ""
		if args["symrefs"] {
			tail = " symref-target:" + gitstore.MainBranch
		}
		x.out.line("%s HEAD%s\n", head, tail)
	}
	for _, ref := range slices.Sorted(maps.Keys(x.repo.Refs)) {
		if !wanted(ref) {
			continue
		}
		tail := ""
		if tip := x.repo.Tip(ref); args["peel"] && tip != x.repo.Refs[ref] {
			tail = " peeled:" + x.repo.Refs[ref]
		}
		x.out.line("%s %s%s\n", x.repo.Tip(ref), ref, tail)
	}
	x.out.flush()
	return x.out.err
}

// load reads the history, and refuses what is not in it.
func (x *exchange) load() (err error) {
	if x.g, err = x.s.graph(x.repo); err != nil {
		return err
	}
	for _, want := range x.f.wants {
		if !x.g.has(want) && x.g.tags[want] == "" {
			x.begin()
			x.out.line("ERR upload-pack: not our ref %s", want)
			return errAnswered
		}
	}
	return nil
}

var errAnswered = errors.New("the client has its answer")

// answered is not an error for the caller: the client was told.
func answered(err error) error {
	if errors.Is(err, errAnswered) {
		return nil
	}
	return err
}

func (x *exchange) fetch2() error {
	if len(x.f.wants) == 0 {
		x.begin()
		x.out.flush()
		return x.out.err
	}
	if err := x.load(); err != nil {
		return answered(err)
	}
	edge, err := x.g.edge(x.f)
	if err != nil {
		return x.sorry(err)
	}
	x.begin()
	common := x.common()
	if !x.f.done && len(x.f.haves) > 0 {
		x.out.line("acknowledgments\n")
		for _, oid := range common {
			x.out.line("ACK %s\n", oid)
		}
		if len(common) == 0 {
			x.out.line("NAK\n")
		}
		if !x.g.ready(x.f.wants, common) {
			x.out.flush()
			return x.out.err
		}
		x.out.line("ready\n")
		x.out.delim()
	}
	if x.f.deepens() {
		x.out.line("shallow-info\n")
		edge.write(x.out)
		x.out.delim()
	}
	x.out.line("packfile\n")
	return x.send(common, edge, maxPkt-5)
}

// fetch0 answers versions 0 and 1. Each request says everything again, since
// nothing is kept between them.
func (x *exchange) fetch0(p pktReader) error {
	if err := x.f.readWants(p); err != nil {
		return err
	}
	if len(x.f.wants) == 0 {
		x.begin()
		return nil
	}
	if err := x.load(); err != nil {
		return answered(err)
	}
	edge, err := x.g.edge(x.f)
	if err != nil {
		return x.sorry(err)
	}
	x.begin()
	if x.f.deepens() {
		edge.write(x.out)
		x.out.flush()
	}
	common, finished, err := x.negotiate(p)
	if err != nil || !finished {
		return err
	}
	most := 0
	switch {
	case x.f.caps["side-band-64k"]:
		most = maxPkt - 5
	case x.f.caps["side-band"]:
		most = 1000 - 5
	}
	return x.send(common, edge, most)
}

// negotiate finds what both sides have. It is finished when the pack is to
// come now.
func (x *exchange) negotiate(p pktReader) (common []string, finished bool, err error) {
	detailed, ready, fresh, last := x.f.caps["multi_ack_detailed"], false, false, ""
	for {
		kind, line, err := p.line()
		if errors.Is(err, io.EOF) {
			return common, false, x.out.err
		}
		if err != nil {
			return nil, false, fmt.Errorf("%w: %w", ErrRequest, err)
		}
		if kind == pktFlush {
			if detailed && fresh && x.g.ready(x.f.wants, common) {
				ready = true
				x.out.line("ACK %s ready\n", last)
			}
			if detailed || len(common) == 0 {
				x.out.line("NAK\n")
			}
			if ready && x.f.caps["no-done"] {
				x.out.line("ACK %s\n", last)
				return common, true, x.out.err
			}
			fresh = false
			continue
		}
		if line == "done" {
			if last != "" && detailed {
				x.out.line("ACK %s\n", last)
			} else if last == "" {
				x.out.line("NAK\n")
			}
			return common, true, x.out.err
		}
		if err := x.f.arg(line); err != nil {
			return nil, false, err
		}
		if oid := strings.TrimPrefix(line, "have "); x.g.has(oid) {
			common, last, fresh = append(common, oid), oid, true
			if detailed {
				x.out.line("ACK %s common\n", oid)
			} else if len(common) == 1 {
				x.out.line("ACK %s\n", oid)
			}
		}
	}
}

// common is what the client has of the repository's history.
func (x *exchange) common() []string {
	var out []string
	for _, oid := range x.f.haves {
		if x.g.has(oid) {
			out = append(out, oid)
		}
	}
	return out
}

// ready reports whether enough is known: something behind every want.
func (g *graph) ready(wants, common []string) bool {
	if len(common) == 0 {
		return false
	}
	have := map[string]bool{}
	for _, oid := range common {
		have[oid] = true
	}
	for _, want := range wants {
		found := false
		g.walk([]string{g.commit(want)}, func(oid string, _ gitstore.Commit) bool {
			found = found || have[oid]
			return !found
		})
		if !found {
			return false
		}
	}
	return true
}

// commit is what a tag leads to, or the commit itself.
func (g *graph) commit(oid string) string {
	if to := g.tags[oid]; to != "" {
		return to
	}
	return oid
}

// sorry tells the client, in a way that git shows.
func (x *exchange) sorry(err error) error {
	x.begin()
	x.out.line("ERR %s", err)
	return x.out.err
}

// send sends the pack, in a side band if lines have a size.
func (x *exchange) send(common []string, edge *edge, most int) error {
	p, err := x.plan(common, edge)
	if most == 0 {
		if err == nil {
			err = x.s.writePack(x.w, p.objects)
		}
		return errors.Join(err, x.out.err)
	}
	if err == nil {
		if !x.f.caps["no-progress"] {
			fmt.Fprintf(&band{x.out, bandProgress, most}, "Sending %d objects\n", len(p.objects))
		}
		err = x.s.writePack(&band{x.out, bandData, most}, p.objects)
	}
	if err != nil { // the answer has begun: this is how the client learns of it
		fmt.Fprintf(&band{x.out, bandError, most}, "the server failed: %v\n", err)
		_ = http.NewResponseController(x.w).Flush() // before the connection is broken off
		return errors.Join(err, x.out.err)
	}
	x.out.flush()
	return x.out.err
}
