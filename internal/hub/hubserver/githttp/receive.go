package githttp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"ml-intern/internal/hub/hubserver/gitstore"
)

const (
	maxCommands = 1000
	zeroID      = "0000000000000000000000000000000000000000"
)

// A push is what a client wants changed.
type push struct {
	updates []gitstore.RefUpdate
	caps    map[string]bool
}

// ReceivePack answers a push.
func (s *Server) ReceivePack(w http.ResponseWriter, r *http.Request, repo *gitstore.Repo) error {
	p, err := body(w, r, maxPack)
	if err != nil {
		return err
	}
	in, err := readCommands(p)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-git-receive-pack-result")
	noCache(w)
	if len(in.updates) == 0 { // git's way to see whether it is let in
		return nil
	}
	errs, unpack := s.push(r.Context(), p, repo, in)
	if internal(unpack) || r.Context().Err() != nil {
		return unpack
	}
	return in.report(w, unpack, errs)
}

func readCommands(p pktReader) (*push, error) {
	in := &push{caps: map[string]bool{}}
	for {
		kind, line, err := p.line()
		if errors.Is(err, io.EOF) && len(in.updates) == 0 {
			return in, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrRequest, err)
		}
		if kind == pktFlush {
			return in, nil
		}
		line, caps, _ := strings.Cut(line, "\x00")
		for c := range strings.FieldsSeq(caps) {
			in.caps[c] = true
		}
		if strings.HasPrefix(line, "shallow ") {
			continue
		}
		u, err := readCommand(line)
		if err != nil {
			return nil, err
		}
		if in.updates = append(in.updates, u); len(in.updates) > maxCommands {
			return nil, fmt.Errorf("%w: it changes more than %d refs", ErrRequest, maxCommands)
		}
	}
}

func readCommand(line string) (gitstore.RefUpdate, error) {
	f := strings.SplitN(line, " ", 3)
	if len(f) != 3 {
		return gitstore.RefUpdate{}, fmt.Errorf("%w: the command %.80q", ErrRequest, line)
	}
	for i, oid := range f[:2] {
		if _, err := parseID(oid); err != nil {
			return gitstore.RefUpdate{}, err
		}
		if oid == zeroID {
			f[i] = ""
		}
	}
	return gitstore.RefUpdate{Ref: f[2], Old: f[0], New: f[1]}, nil
}

// push takes the pack and updates the refs. The second error is that of the
// pack as a whole.
func (s *Server) push(ctx context.Context, p pktReader, repo *gitstore.Repo, in *push) ([]error, error) {
	errs := make([]error, len(in.updates))
	for i, up := range in.updates {
		errs[i] = s.mayUpdate(repo, up.Ref)
	}
	if !slices.Contains(errs, nil) {
		_, err := io.Copy(io.Discard, p) // git reads no answer before it has sent all
		return errs, err
	}
	b := s.Store.Batch()
	defer b.Discard()
	known := s.Inventory(repo)
	defer known.Close()
	u := newUnpacker(b, known.kind)
	for _, up := range in.updates {
		if up.New == "" {
			continue
		}
		if err := u.read(p); err != nil {
			_, _ = io.Copy(io.Discard, p) // git reads no answer before it has sent all
			return nil, err
		}
		break
	}
	c := &checker{s: s, repo: repo, batch: b, pack: u, known: known, done: map[id]bool{}, extents: map[id]extent{}}
	var good []gitstore.RefUpdate
	var place []int
	for i, up := range in.updates {
		if errs[i] != nil {
			continue
		}
		if errs[i] = c.update(&up); internal(errs[i]) {
			return nil, errs[i]
		}
		if errs[i] == nil {
			good, place = append(good, up), append(place, i)
		}
	}
	atomic := in.caps["atomic"]
	if len(good) == 0 || atomic && len(good) < len(errs) {
		for _, i := range place {
			errs[i] = errors.New("another update was refused")
		}
		return errs, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute) // all has come: it is not half forgotten
	defer cancel()
	made, err := s.Store.Push(ctx, repo.RepoID, good, atomic, b, s.mayUpdate)
	if err != nil {
		return nil, err
	}
	for n, i := range place {
		errs[i] = made[n]
	}
	return errs, nil
}

// internal reports whether an error is to be answered as such, and is not a
// word to the one who pushes.
func internal(err error) bool {
	_, big := errors.AsType[*http.MaxBytesError](err)
	return big || errors.Is(err, gitstore.ErrFull) || errors.Is(err, gitstore.ErrNoRepo)
}

// report tells how each update went.
func (in *push) report(w http.ResponseWriter, unpack error, errs []error) error {
	var text strings.Builder
	out := &pktWriter{w: &text}
	if unpack != nil {
		out.line("unpack %s\n", oneLine(unpack))
	} else {
		out.line("unpack ok\n")
	}
	for i, u := range in.updates {
		err := unpack
		if unpack == nil {
			err = errs[i]
		}
		if err != nil {
			out.line("ng %s %s\n", u.Ref, oneLine(err))
		} else {
			out.line("ok %s\n", u.Ref)
		}
	}
	out.flush()
	all := &pktWriter{w: w}
	switch {
	case !in.caps["report-status"]:
	case in.caps["side-band-64k"]:
		if _, err := io.WriteString(&band{all, bandData, maxPkt - 5}, text.String()); err != nil {
			return err
		}
		all.flush()
	default:
		all.raw(text.String())
	}
	return all.err
}

func oneLine(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	return text[:min(len(text), 500)]
}
