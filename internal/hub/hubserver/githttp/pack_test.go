package githttp

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/gitstore"
)

// A packer writes packs by hand, right ones and wrong ones.
type packer struct {
	bytes.Buffer
	n  uint32
	at []int64
}

func (p *packer) add(typ byte, size int64, base, data []byte) *packer {
	p.at = append(p.at, int64(12+p.Len()))
	p.n++
	p.Write(packHead(typ, size))
	p.Write(base)
	z := zlib.NewWriter(p)
	z.Write(data)
	z.Close()
	return p
}

func (p *packer) object(kind string, data string) *packer {
	return p.add(packTypes[kind], int64(len(data)), nil, []byte(data))
}

// back is the address of the object number n, seen from the next one.
func (p *packer) back(n int) []byte {
	d := int64(12+p.Len()) - p.at[n]
	out := []byte{byte(d & 0x7f)}
	for d >>= 7; d > 0; d >>= 7 {
		d--
		out = append([]byte{byte(d&0x7f) | 0x80}, out...)
	}
	return out
}

func (p *packer) pack() []byte {
	out := append([]byte("PACK"), 0, 0, 0, 2)
	out = binary.BigEndian.AppendUint32(out, p.n)
	out = append(out, p.Bytes()...)
	sum := sha1.Sum(out)
	return append(out, sum[:]...)
}

// delta copies all of a base and adds text.
func delta(base, more string) []byte {
	out := binary.AppendUvarint(nil, uint64(len(base)))
	out = binary.AppendUvarint(out, uint64(len(base)+len(more)))
	out = append(out, 0x80|0x10, byte(len(base)))
	return append(append(out, byte(len(more))), more...)
}

func blobID(text string) []byte {
	i, _ := parseID(gitstore.OID([]byte(text)))
	return i[:]
}

func unpack(t testing.TB, data []byte) (*unpacker, error) {
	t.Helper()
	s, err := gitstore.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := s.Batch()
	t.Cleanup(b.Discard)
	u := newUnpacker(b, func(string) (string, error) { return "", nil })
	return u, u.read(bytes.NewReader(data))
}

// Deltas may come before their bases, and in chains.
func TestUnpack(t *testing.T) {
	t.Parallel()
	p := &packer{}
	p.add(packRefDelta, int64(len(delta("base", " two"))), blobID("base"), delta("base", " two"))
	p.add(packOffDelta, int64(len(delta("base two", " three"))), p.back(0), delta("base two", " three"))
	p.add(packRefDelta, int64(len(delta("base two three", "!"))), blobID("base two three"), delta("base two three", "!"))
	p.object(gitstore.KindBlob, "base")
	p.object(gitstore.KindBlob, "")
	u, err := unpack(t, p.pack())
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"base", "base two", "base two three", "base two three!", ""} {
		if got, err := u.batch.Read(gitstore.KindBlob, gitstore.OID([]byte(text))); err != nil || string(got) != text {
			t.Errorf("%q is %q, %v", text, got, err)
		}
	}
}

func TestUnpackRefuses(t *testing.T) {
	t.Parallel()
	good := (&packer{}).object(gitstore.KindBlob, "text").pack()
	flipped := bytes.Clone(good)
	flipped[len(flipped)-1] ^= 1
	lying := func(d []byte) []byte {
		p := (&packer{}).object(gitstore.KindBlob, "text")
		return p.add(packRefDelta, int64(len(d)), blobID("text"), d).pack()
	}
	many := (&packer{n: maxObjects}).object(gitstore.KindBlob, "x")
	bomb := (&packer{}).add(packBlob, 100, nil, make([]byte, 1<<20)).pack()
	for name, c := range map[string]struct {
		pack []byte
		want error
	}{
		"nothing":              {nil, errPack},
		"cut short":            {good[:len(good)-25], errPack},
		"no checksum":          {good[:len(good)-20], errPack},
		"wrong checksum":       {flipped, errPack},
		"not a pack":           {[]byte(strings.Repeat("x", 40)), errPack},
		"too many objects":     {many.pack(), nil},
		"more than announced":  {bomb, errPack},
		"a large blob":         {(&packer{}).add(packBlob, maxBlob+1, nil, nil).pack(), errLarge},
		"an endless size":      {append(append([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01"), bytes.Repeat([]byte{0xbf}, 20)...), 0), errPack},
		"unknown type":         {(&packer{}).add(5, 0, nil, nil).pack(), errPack},
		"base not there":       {(&packer{}).add(packRefDelta, 1, blobID("no"), []byte{0}).pack(), errPack},
		"base before the pack": {(&packer{}).add(packOffDelta, 1, []byte{0x7f}, []byte{0}).pack(), errPack},
		"base is itself":       {(&packer{}).add(packOffDelta, 1, []byte{0}, []byte{0}).pack(), errPack},
		"delta of another":     {lying([]byte{9, 1, 1, 'x'}), errPack},
		"copy too far":         {lying([]byte{4, 9, 0x91, 2, 9}), errPack},
		"insert too long":      {lying([]byte{4, 9, 9, 'x'}), errPack},
		"shorter than it says": {lying([]byte{4, 9, 1, 'x'}), errPack},
		"longer than it says":  {lying([]byte{4, 1, 2, 'x', 'y'}), errPack},
		"instruction 0":        {lying([]byte{4, 1, 0}), errPack},
		"huge result":          {lying([]byte{4, 0xff, 0xff, 0xff, 0xff, 0x7f}), errLarge},
	} {
		if _, err := unpack(t, c.pack); err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// A tree in a tree in a tree, thousands deep, is refused before the paths in it
// take more memory than there is.
//
//nolint:paralleltest // it measures memory
func TestDeepTree(t *testing.T) {
	p := (&packer{}).object("blob", "x")
	at, mode := string(blobID("x")), "100644"
	for range 2000 {
		tree := mode + " a\x00" + at
		p.object("tree", tree)
		i, err := parseID(gitstore.ID("tree", []byte(tree)))
		if err != nil {
			t.Fatal(err)
		}
		at, mode = string(i[:]), "40000"
	}
	u, err := unpack(t, p.pack())
	if err != nil {
		t.Fatal(err)
	}
	top, err := parseID(fmt.Sprintf("%x", at))
	if err != nil {
		t.Fatal(err)
	}
	c := &checker{s: &Server{}, batch: u.batch, pack: u, known: &Inventory{}, done: map[id]bool{}, extents: map[id]extent{}}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := c.tree(top.String(), ""); !errors.Is(err, errDeep) {
		t.Errorf("it is %v", err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
		t.Errorf("that took %d bytes", used)
	}
}

func FuzzPack(f *testing.F) {
	p := &packer{}
	p.object(gitstore.KindBlob, "base")
	p.add(packOffDelta, int64(len(delta("base", "x"))), p.back(0), delta("base", "x"))
	p.add(packRefDelta, int64(len(delta("base", "y"))), blobID("base"), delta("base", "y"))
	p.object(gitstore.KindTree, "100644 a\x00"+string(blobID("base")))
	f.Add(p.pack())
	s, err := gitstore.Open(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 12 { // the sum is not what is tested
			sum := sha1.Sum(data)
			data = append(bytes.Clone(data), sum[:]...)
		}
		b := s.Batch()
		defer b.Discard()
		u := newUnpacker(b, func(string) (string, error) { return "", nil })
		if u.read(bytes.NewReader(data)) != nil {
			return
		}
		for oid, typ := range u.kinds {
			text, err := b.Read(kindOf(typ), oid.String())
			if err != nil || gitstore.ID(kindOf(typ), text) != oid.String() {
				t.Errorf("the object %s is not whole: %v", oid, err)
			}
		}
	})
}

func FuzzPkt(f *testing.F) {
	f.Add("0009done\n0000", false)
	f.Add("0032want "+strings.Repeat("1", 40)+"\n0000", true)
	f.Add("0014command=ls-refs\n00010009peel\n0000", true)
	f.Add("fff1", false)
	f.Fuzz(func(t *testing.T, text string, args bool) {
		p := pktReader{bufio.NewReader(strings.NewReader(text))}
		in := newFetch()
		if args {
			_ = in.readArgs(p)
		} else {
			_ = in.readWants(p)
		}
		for _, oid := range append(in.wants, in.haves...) {
			if len(oid) != 40 {
				t.Errorf("%q wants %q", text, oid)
			}
		}
		push, err := readCommands(pktReader{bufio.NewReader(strings.NewReader(text))})
		if err != nil {
			return
		}
		for _, u := range push.updates {
			if u.Ref == "" && u.Old == "" && u.New == "" {
				t.Errorf("%q is a push of nothing", text)
			}
		}
	})
}

// Trees and commits from outside are as git's own check wants them, and of a
// kind that file systems can take.
func FuzzCheck(f *testing.F) {
	sum := string(blobID("x"))
	f.Add([]byte("100644 a\x00" + sum + "40000 b\x00" + sum))
	f.Add([]byte("tree " + strings.Repeat("1", 40) + "\nauthor a <b> 1 +0000\ncommitter a <b> 1 +0000\n\nm\n"))
	f.Add([]byte("100644 ..\x00" + sum))
	f.Fuzz(func(t *testing.T, data []byte) {
		if entries, err := gitstore.CheckTree(data); err == nil {
			for _, e := range entries {
				if hub.CheckPath(e.Name) != nil || strings.Contains(e.Name, "/") {
					t.Errorf("the name %q passes", e.Name)
				}
			}
		}
		if c, err := gitstore.CheckCommit("x", data); err == nil {
			if len(c.Tree) != 40 || !bytes.Contains(data, []byte("tree "+c.Tree)) {
				t.Errorf("%q passes as %+v", data, c)
			}
		}
		_, _, _ = gitstore.TagTarget(data)
	})
}
