package githttp

import (
	"bufio"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"ml-intern/internal/hub/hubserver/gitstore"
)

// The types of objects in a pack.
const (
	packCommit   = 1
	packTree     = 2
	packBlob     = 3
	packTag      = 4
	packOffDelta = 6
	packRefDelta = 7
)

var packTypes = map[string]byte{
	gitstore.KindCommit: packCommit, gitstore.KindTree: packTree, gitstore.KindBlob: packBlob, gitstore.KindTag: packTag,
}

// A plan is the list of objects that a client lacks. It is all that is kept of
// them in memory.
type plan struct {
	store   *gitstore.Store
	seen    map[id]struct{}
	objects []id
}

// plan lists what the client needs to have its wants, given what both have.
func (x *exchange) plan(common []string, e *edge) (*plan, error) {
	p := &plan{store: x.s.Store, seen: map[id]struct{}{}}
	theirs := x.g.before(common, x.f.shallow)
	var send []gitstore.Commit
	x.g.walk(append(x.g.starts(x.f.wants), e.begin...), func(oid string, c gitstore.Commit) bool {
		if theirs[oid] {
			return false
		}
		send = append(send, c)
		return !e.cut[oid]
	})
	if err := p.leaveOut(x.g, send, theirs, e); err != nil {
		return nil, err
	}
	going := map[string]bool{}
	for _, c := range send {
		p.add(c.ID)
		going[c.ID] = true
		if err := p.tree(c.Tree); err != nil {
			return nil, err
		}
	}
	asked := map[string]bool{}
	for _, want := range x.f.wants {
		asked[want] = true
	}
	for tag, to := range x.g.tags {
		if asked[tag] || x.f.caps["include-tag"] && going[to] {
			if err := p.tag(tag); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

// leaveOut takes the files off the list that the client has in the commits
// next to those that it gets.
func (p *plan) leaveOut(g *graph, send []gitstore.Commit, theirs map[string]bool, e *edge) error {
	edge := map[string]bool{}
	for _, oid := range e.opened {
		edge[oid] = true
	}
	for _, c := range send {
		if e.cut[c.ID] {
			continue
		}
		for _, parent := range c.Parents {
			edge[parent] = edge[parent] || theirs[parent]
		}
	}
	for oid, has := range edge {
		if !has {
			continue
		}
		if err := p.tree(g.commits[oid].Tree); err != nil {
			return err
		}
	}
	p.objects = nil
	return nil
}

func (p *plan) add(oid string) bool {
	i, err := parseID(oid)
	if _, known := p.seen[i]; known || err != nil {
		return false
	}
	p.seen[i] = struct{}{}
	p.objects = append(p.objects, i)
	return true
}

func (p *plan) tree(oid string) error {
	if !p.add(oid) {
		return nil
	}
	data, err := p.store.Read(gitstore.KindTree, oid)
	if err != nil {
		return err
	}
	entries, err := gitstore.ParseTree(data)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Dir() {
			p.add(e.OID)
		} else if err := p.tree(e.OID); err != nil {
			return err
		}
	}
	return nil
}

// tag adds an annotated tag, and those that it is a tag of.
func (p *plan) tag(oid string) error {
	for p.add(oid) {
		data, err := p.store.Read(gitstore.KindTag, oid)
		if err != nil {
			return err
		}
		kind, to, err := gitstore.TagTarget(data)
		if err != nil || kind != gitstore.KindTag {
			return err
		}
		oid = to
	}
	return nil
}

// writePack writes objects as a pack, one after the other. It makes no deltas:
// text is small here, and what is large is not in git.
func (s *Server) writePack(w io.Writer, objects []id) error {
	sum := sha1.New()
	out := bufio.NewWriterSize(w, 64<<10)
	both := io.MultiWriter(out, sum)
	head := append([]byte("PACK"), 0, 0, 0, 2)
	if _, err := both.Write(binary.BigEndian.AppendUint32(head, uint32(len(objects)))); err != nil {
		return err
	}
	z, _ := zlib.NewWriterLevel(both, zlib.BestSpeed) // the level is a good one
	for _, oid := range objects {
		if err := s.writeObject(both, z, oid.String()); err != nil {
			return err
		}
	}
	if _, err := out.Write(sum.Sum(nil)); err != nil {
		return err
	}
	return out.Flush()
}

// writeObject copies an object, and makes sure on the way that it is the one.
func (s *Server) writeObject(w io.Writer, z *zlib.Writer, oid string) error {
	kind, size, body, err := s.Store.Object(oid)
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err := w.Write(packHead(packTypes[kind], size)); err != nil {
		return err
	}
	sum := sha1.New()
	fmt.Fprintf(sum, "%s %d\x00", kind, size)
	z.Reset(w)
	n, err := io.Copy(z, io.TeeReader(body, sum))
	if err = errors.Join(err, z.Close()); err != nil {
		return fmt.Errorf("send object %s: %w", oid, err)
	}
	if n != size || fmt.Sprintf("%x", sum.Sum(nil)) != oid {
		return fmt.Errorf("send object %s: it is damaged", oid)
	}
	return nil
}

// packHead is an object's type and size: four bits, then seven at a time.
func packHead(typ byte, size int64) []byte {
	b := typ<<4 | byte(size&15)
	size >>= 4
	var out []byte
	for size > 0 {
		out = append(out, b|0x80)
		b = byte(size & 0x7f)
		size >>= 7
	}
	return append(out, b)
}
