package tui

import (
	"time"

	tea "charm.land/bubbletea/v2"
)

type jobsPanel struct{ reader }

type jobsMsg struct{ panel *jobsPanel }

func (p *jobsPanel) lookAt(*model, time.Duration) tea.Cmd { return nil }

func (p *jobsPanel) take(*model, jobsMsg) tea.Cmd { return nil }
