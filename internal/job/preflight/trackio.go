package preflight

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A board is a dashboard of Trackio, a Space that the script makes if it is not
// there. Trackio's own default is that everybody can read it.
type board struct {
	space   value // its name; the zero value if Trackio makes one up
	private value // what it is made with
	fix     string
	line    int
	copy    bool // a static copy of the numbers, which cannot be private
	late    bool // the copy is asked to be private, which ends the script when it pushes the model
}

// spaceVariable names the Space of those who do not name one themselves.
const spaceVariable = "TRACKIO_SPACE_ID"

// findBoards lists the dashboards that the script surely reports to.
func (c *check) findBoards() (found []board) {
	for _, k := range c.facts.Calls {
		if k.Star && len(k.Kw) == 0 {
			continue
		}
		switch k.Name {
		case "trackio.init":
			found = append(found, c.initBoard(k.Kw["space_id"], k.Kw["private"], k.Line)...)
		case "trackio.sync":
			found = append(found, c.syncBoard(k))
		case "trackio.freeze":
			found = append(found, board{space: k.Kw["new_space_id"], line: k.Line, copy: true, fix: "take trackio.freeze out"})
		}
		if k.last() == "init_trackers" { // of accelerate
			of := k.Kw["init_kwargs"].Entries["trackio"]
			if of.given() || c.facts.says("trackio") {
				found = append(found, c.initBoard(of.Entries["space_id"], of.Entries["private"], k.Line)...)
			}
		}
	}
	for _, k := range c.reporting() {
		found = append(found, c.trainerBoards(k)...)
	}
	return found
}

// initBoard is the dashboard of trackio.init, none if the numbers stay in files.
func (c *check) initBoard(space, private value, line int) []board {
	if !space.given() || space.isFalse() {
		space = c.variableValue(spaceVariable)
	}
	if !space.given() || space.isFalse() {
		return nil
	}
	return []board{{space: space, private: private, line: line, fix: "give it private=True"}}
}

func (c *check) syncBoard(k call) board {
	if k.Kw["sdk"].text() == "static" {
		return board{space: k.Kw["space_id"], line: k.Line, copy: true, fix: `leave sdk="static" out, and give it private=True`}
	}
	return board{space: k.Kw["space_id"], private: k.Kw["private"], line: k.Line, fix: "give it private=True"}
}

// variableValue is what a variable is set to for the job, or by its script.
func (c *check) variableValue(name string) value {
	if v, ok := c.facts.Values[name]; ok {
		return v
	}
	if v, ok := c.Spec.Env[name]; ok {
		return value{Kind: "const", V: v}
	}
	for _, k := range c.facts.Calls {
		if k.Name == "os.environ.setdefault" && len(k.Args) == 2 && k.Args[0].text() == name {
			return k.Args[1]
		}
	}
	return value{}
}

// reporting lists the configurations of trainers that report to Trackio.
func (c *check) reporting() (all []call) {
	for _, k := range c.facts.Calls {
		to, says := k.Kw["report_to"]
		names := leaves(to)
		named := slices.Contains(names, "trackio") || slices.Contains(names, "all") && c.has("trackio")
		config := c.train != nil && c.train.config != nil && c.train.config.ID == k.ID
		if named && !k.Guarded || config && !says && !k.Star && c.manner().byItself {
			all = append(all, k)
		}
	}
	return all
}

// has reports whether the job surely gets a package.
func (c *check) has(name string) bool {
	for have := range c.versions {
		if normalized(have) == name {
			return true
		}
	}
	return false
}

// A manner is how the Trainer of one version of transformers reports to Trackio.
type manner struct {
	version  string
	byItself bool   // it reports, unless report_to says otherwise
	space    string // where to, if nothing names a Space
	variable bool   // TRACKIO_SPACE_ID goes over the argument
	noSpace  bool   // it takes no Space but the variable's, and cannot make it private
	onPush   bool   // without a Space, it makes a public one when the model is pushed
	copies   bool   // it leaves a static copy in a Space of its own
}

// manner is that of the version that the job gets; the zero value if it is not
// known.
func (c *check) manner() manner {
	version := ""
	for name, v := range c.versions {
		if normalized(name) == "transformers" {
			version = v
		}
	}
	var major, minor int
	if n, _ := fmt.Sscanf(version, "%d.%d", &major, &minor); n < 2 {
		return manner{}
	}
	before := func(a, b int) bool { return cmp.Or(cmp.Compare(major, a), cmp.Compare(minor, b)) < 0 }
	m := manner{version: version, byItself: before(5, 0) && c.has("trackio")}
	switch {
	case before(4, 57):
		m.variable, m.noSpace = true, true
	case before(5, 6):
		m.space, m.variable, m.onPush = "trackio", before(5, 2), !before(5, 0)
	default:
		m.copies = true
	}
	return m
}

// trainerBoards are the dashboards of one trainer.
func (c *check) trainerBoards(k call) []board {
	m := c.manner()
	space, named := k.Kw["trackio_space_id"]
	variable := c.variableValue(spaceVariable)
	switch {
	case variable.given() && m.variable:
		space = variable
	case !named && k.Star:
		return nil
	case !named && m.space != "":
		space = value{Kind: "const", V: m.space}
	case !space.given() || space.isFalse():
		space = variable
	}
	private := k.Kw["hub_private_repo"]
	if space.given() && !space.isFalse() {
		b := board{space: space, private: private, line: k.Line, fix: "set hub_private_repo=True, which makes the model's repository private too"}
		if m.noSpace {
			b.private, b.fix = value{}, "use transformers 4.57 or newer with hub_private_repo=True, or make the Space beforehand, private"
		}
		return append([]board{b}, m.copy(k, private, true)...)
	}
	if !c.trainerPushes(k) {
		return nil
	}
	if m.onPush {
		return []board{{line: k.Line, fix: "set trackio_space_id to a Space, and hub_private_repo=True"}}
	}
	return m.copy(k, private, false)
}

// copy is the static copy that a trainer leaves: at the end of the training,
// or, where there is no live dashboard, when the model is pushed.
func (m manner) copy(k call, private value, live bool) []board {
	of, said := k.Kw["trackio_static_space_id"]
	refused := private.isTrue() // Trackio makes no private copy, and says so by an error
	if !m.copies || said && of.V == false || !said && k.Star || refused && live {
		return nil
	}
	if of.isFalse() {
		of = value{} // None: a name is made up
	}
	return []board{{space: of, line: k.Line, copy: true, late: refused, fix: "set trackio_static_space_id=False"}}
}

// trainerPushes reports whether the trainer of a configuration pushes to the Hub.
func (c *check) trainerPushes(config call) bool {
	if config.Kw["push_to_hub"].isTrue() {
		return true
	}
	return slices.ContainsFunc(c.facts.named("push_to_hub"), func(k call) bool {
		if k.Recv == nil {
			return false
		}
		made, ok := c.facts.made(*k.Recv)
		_, trainer := trainers[made.last()]
		return ok && trainer && strings.HasPrefix(k.Name, ".")
	})
}
