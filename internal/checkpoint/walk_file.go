package checkpoint

import (
	"fmt"
	"time"
)

// A visit reads the files of one folder.
type visit struct {
	*walker
	dir    folder
	at     spot
	block  *block          // borrowed when the first file must be read
	only   map[string]bool // folders that the rules leave out and that are looked at all the same
	hits   []uint32        // files that look as they did, by their places in the cache
	guess  int             // where the next one may be there
	seen   []cached        // others
	counts Counts
}

// end hands over what was found.
func (v *visit) end() {
	if v.block != nil {
		v.pack.giveBack(v.block)
	}
	v.record.add(v.hits, v.seen)
	v.count(func(c *Counts) {
		c.Files += v.counts.Files
		c.Bytes += v.counts.Bytes
		c.Large += v.counts.Large
		c.Unheld += v.counts.Unheld
		for reason, n := range v.counts.LeftOut {
			c.LeftOut[reason] += n
		}
	})
}

// entry says what a name of the folder is, and keeps it.
func (v *visit) entry(name string, st stat) (entry, error) {
	if reason := v.leftOut(name, st); reason != "" && !v.wanted(name, st, reason) {
		return v.without(name, reason), nil
	}
	switch st.kind {
	case Folder:
		return entry{name: name, kind: Folder, perm: st.perm}, nil
	case Symlink:
		target, err := v.dir.readlink(name)
		if err != nil {
			return v.without(name, reasonUnreadable), err
		}
		return entry{name: name, kind: Symlink, text: target}, nil
	}
	return v.file(name, st)
}

// without is the entry of what is not kept.
func (v *visit) without(name, reason string) entry {
	if v.counts.LeftOut == nil {
		v.counts.LeftOut = make(map[string]int)
	}
	v.counts.LeftOut[reason]++
	return entry{name: name, kind: LeftOut, text: reason}
}

// leftOut says why a name is left out, "" if it is not.
func (v *visit) leftOut(name string, st stat) string {
	if reason := leftOutName(name); reason != "" {
		return reason
	}
	switch {
	case st.kind == 0:
		return reasonSpecial
	case v.at.only:
		return reasonIgnored
	case v.at.ignore.ignores(name, st.kind == Folder):
		return reasonIgnored
	case st.kind == Folder && st.dev != v.dev:
		return reasonDisk
	case len(v.skip) > 0 && v.skip[v.at.in(name).rel]:
		return reasonElsewhere
	}
	return ""
}

// wanted reports whether a name is looked at although a rule leaves it out.
func (v *visit) wanted(name string, st stat, reason string) bool {
	if was := v.also[v.at.in(name).rel].kind; was == 0 || was == LeftOut || reason == reasonSpecial || reason == reasonDisk || reason == reasonElsewhere {
		return false
	}
	if st.kind == Folder {
		if v.only == nil {
			v.only = make(map[string]bool)
		}
		v.only[name] = true
	}
	return true
}

// file keeps a file, whole or by a second name.
func (v *visit) file(name string, st stat) (entry, error) {
	if st.size > maxWhole || st.size > smallFile && v.fresh.Load() > softFresh {
		return v.large(name, st), nil
	}
	key := pathKey(v.at.key, name)
	if hit, ok := v.before.find(key, st, v.guess); ok {
		v.guess = hit + 1
		v.hits = append(v.hits, uint32(hit))
		return v.whole(name, st, v.before.files[hit].hash), nil
	}
	if st.size > smallFile && v.store.holds(st) {
		return v.large(name, st), nil // as it was when much was new
	}
	for range 3 {
		start := time.Now()
		now, h, err := v.read(name)
		if err != nil {
			return v.without(name, reasonUnreadable), err
		}
		if now.size > maxWhole {
			return v.large(name, now), nil
		}
		if now == st {
			if settled(st, start) {
				v.seen = append(v.seen, cached{key, st.ino, st.size, st.mtime, st.ctime, h})
			}
			return v.whole(name, st, h), nil
		}
		st = now // it was written, or replaced, meanwhile
	}
	return v.without(name, reasonChanging), nil
}

func (v *visit) whole(name string, st stat, h Hash) entry {
	v.counts.Files, v.counts.Bytes = v.counts.Files+1, v.counts.Bytes+st.size
	return entry{name: name, kind: File, perm: st.perm, mtime: st.mtime, size: st.size, hash: h}
}

// read keeps a file's bytes, and returns what it looked like afterwards.
func (v *visit) read(name string) (stat, Hash, error) {
	if v.block == nil {
		v.block = v.pack.borrow()
	}
	b := v.block
	start := len(b.data)
	data, now, err := v.dir.read(name, maxWhole, b.data)
	if b.data = data; err != nil {
		return now, Hash{}, err
	}
	size := int64(len(data) - start)
	if size != now.size || now.kind != File { // cut short or grown, and not to be kept
		b.data = data[:start]
		now.ctime-- // looks like nothing
		return now, Hash{}, nil
	}
	h, isNew, err := v.pack.add(b, start)
	if isNew && v.fresh.Add(size) > maxFresh {
		err = fmt.Errorf("%w: more than %d MiB in it are new; leave out folders by .gitignore", ErrTooLarge, maxFresh>>20)
	}
	return now, h, err
}

// large takes hold of a file that is not kept whole.
func (v *visit) large(name string, st stat) entry {
	e := entry{name: name, kind: Large, perm: st.perm, mtime: st.mtime, size: st.size, ino: st.ino}
	if e.hash = holdID(st); !v.look {
		e.hash, e.text = v.store.hold(v.dir, name, st)
	}
	if e.text == byNothing {
		v.counts.Unheld++
	} else {
		v.counts.Large++
	}
	v.mu.Lock()
	v.holds[e.hash] = true
	v.mu.Unlock()
	return e
}

// time is when the entry's file was written.
func (e entry) time() time.Time { return time.Unix(0, e.mtime) }
