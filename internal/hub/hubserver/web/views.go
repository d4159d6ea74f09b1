package web

import (
	"time"

	"ml-intern/internal/markup"
)

// Index is a list of repositories.
type Index struct {
	Owner  string // "" for everyone's
	Groups []Group
}

// A Group is the repositories of one type.
type Group struct {
	Name, URL string
	Count     int
	Repos     []Listed
	More      string // where the next are, "" if these are all
}

// Listed is a repository in a list.
type Listed struct {
	Name, URL string
	Private   bool
	Modified  time.Time
}

func (Index) template() string { return "index.html" }

// Card is what a repository says about itself.
type Card struct {
	Text     markup.HTML // made by Markdown
	Gate     *Gate       // instead of it
	Cut      bool
	Problem  string // with the data
	Table    *Table // of a data set
	Facts    []Fact
	Metrics  []Metric
	Files    []File // the first of them
	MoreURL  string
	Total    string // size of the files that are listed
	Clone    string // the address for git
	Commit   Commit // the newest
	Siblings int
}

// A Gate is the way into a gated repository. What the owner does not say is "".
type Gate struct {
	Heading, Description, Button string
	Prompt                       markup.HTML // made by Markdown
	URL                          string      // where the form goes
	Login                        string      // where to say who one is, if one must
	Auto                         bool        // who asks is let in
	Pending, Rejected            bool        // how the request stands
	Questions                    []Question
}

// A Question is a field of a form: text, checkbox, date or select.
type Question struct {
	Name, Kind string
	Options    []string
}

// A Table is the first rows of a data set.
type Table struct {
	Name          string // of the configuration and the split
	Columns       []Column
	Rows          [][]string
	Note          string
	HiddenColumns int
}

// A Column is a column's name and type.
type Column struct{ Name, Type string }

// A Fact is a line of a card's data.
type Fact struct {
	Name   string
	Values []Link
}

// A Link is a word that may lead somewhere.
type Link struct{ Text, URL string }

// A Metric is a result of an evaluation.
type Metric struct{ Task, Dataset, Name, Value string }

func (Card) template() string { return "card.html" }

// Files is a folder.
type Files struct {
	Crumbs []Link
	Up     string
	Files  []File
	More   bool // there are more than are shown
	Commit Commit
}

// A File is a file or folder in a list.
type File struct {
	Name, URL, Download string
	Dir, Large          bool
	Size                int64
}

func (Files) template() string { return "files.html" }

// Blob is one file.
type Blob struct {
	Crumbs       []Link
	Raw, Link    string
	Size         int64
	Large        string // the sha256, if it is a large file
	Lines        []string
	Image        bool
	Cut          bool
	Text         markup.HTML // for Markdown
	Gated        string
	Why          string // it is not shown
	PermanentURL string
}

func (Blob) template() string { return "blob.html" }

// Commits is a history.
type Commits struct {
	Commits      []Commit
	Newer, Older string
}

// A Commit is a commit for people.
type Commit struct {
	ID, URL, Title, Body, Author string
	Time                         time.Time
	Parents                      []Link
}

func (Commits) template() string { return "commits.html" }

// Change is a commit with what it changed.
type Change struct {
	Commit
	Diff   Diffs
	Browse string
}

// Changed is a file of a commit.
type Changed struct {
	Path, URL string
	How       string // added, changed or deleted
	Note      string // instead of lines
	Hunks     []Hunk
	Added     int
	Removed   int
}

func (Change) template() string { return "change.html" }

// Threads is a list of discussions and pull requests, of those that are open or
// of those that are over.
type Threads struct {
	Threads      []Thread
	Over         bool
	URL          string
	Open, Closed int // how many there are
	Newer, Older string
}

// A Thread is a discussion or a pull request. What is below Comments is empty
// in a list.
type Thread struct {
	Number   int
	URL      string
	Title    string
	Author   string
	Status   string // open, closed, merged or draft
	Pull     bool
	Time     time.Time
	Comments int

	Events     []Event
	More       int // events that are not shown
	From, Into Link
	Merged     Link     // the commit of the merge
	Conflicts  []string // paths that keep it from being merged
	Problem    string   // something else that does
	Diff       Diffs
}

// Diffs are the changes of files, as far as they are shown.
type Diffs struct {
	Files          []Changed
	More           int
	Added, Removed int
}

// An Event is a comment, or what happened, in a thread.
type Event struct {
	Author  string
	Time    time.Time
	Comment bool
	Edited  bool
	Text    markup.HTML // of a comment, made by Markdown
	Note    string      // instead of its text
	What    string      // otherwise, such as "closed this"
	Link    Link
}

func (Threads) template() string { return "threads.html" }
func (Thread) template() string  { return "thread.html" }

// Sorry is a page that says no.
type Sorry struct {
	Status  int
	Message string
	Login   string // where to say who one is, if that may help
}

func (Sorry) template() string { return "sorry.html" }
