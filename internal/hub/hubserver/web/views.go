package web

import (
	"html/template"
	"time"
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
	Text     template.HTML // made by Markdown
	Gated    string        // why it is not shown
	Cut      bool
	Problem  string // with the data
	Facts    []Fact
	Metrics  []Metric
	Files    []File // the first of them
	MoreURL  string
	Total    string // size of the files that are listed
	Clone    string // the address for git
	Commit   Commit // the newest
	Siblings int
}

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
	Text         template.HTML // for Markdown
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
	Files          []Changed
	More           int // files that are not shown
	Added, Removed int
	Browse         string
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

// Threads is a list of discussions and pull requests.
type Threads struct {
	Open, Closed []Thread
}

// A Thread is a discussion or a pull request. Only Events is left empty in a
// list.
type Thread struct {
	Number int
	URL    string
	Title  string
	Author string
	Status string // open, closed, merged or draft
	Pull   bool
	Time   time.Time
	Events []Event
	Files  []Changed // of a pull request
}

// An Event is a comment, or what happened, in a thread.
type Event struct {
	Author string
	Time   time.Time
	Text   template.HTML // of a comment, made by Markdown
	What   string        // otherwise, such as "closed this"
}

func (Threads) template() string { return "threads.html" }
func (Thread) template() string  { return "thread.html" }

// Sorry is a page that says no.
type Sorry struct {
	Status  int
	Message string
}

func (Sorry) template() string { return "sorry.html" }
