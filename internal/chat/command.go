package chat

import "errors"

// A Command is something to do besides saying a prompt: "/model ID".
type Command struct {
	Name string // with the slash
	Args string // as help shows them, "" for none
	Help string // one line
	Own  string // the file of a person's or project's command, "" for a built-in one
}

// A Result is what a command brought. What it did is also in the updates.
type Result struct {
	Text  string // Markdown to show, "" for none
	Pick  *Pick  // a list for the person to choose from
	Panel string // a panel of the screen, one of the names below, "" for none
	Edit  string // a file for the person to edit
	Quit  bool
}

// Panels that only a screen can open. Result.Text says the same in words.
const (
	PanelJobs  = "jobs"
	PanelHelp  = "help"
	PanelTheme = "theme"
)

// A Pick is a list to choose from. Whoever chose calls Command with Then and
// the item's ID after a space.
type Pick struct {
	Title string
	Items []Item
	Then  string // "/resume"
}

// An Item is one line of a list.
type Item struct {
	ID     string
	Title  string
	Detail string
}

// Commands lists what there is here, built-in ones first.
func (c *Chat) Commands() []Command { return nil }

// Command does what the line says: "/model anthropic/x". Of an unknown command
// the error names the nearest.
func (c *Chat) Command(line string) (Result, error) {
	return Result{}, errors.New("not built yet")
}
