package sandbox

import "path/filepath"

// Keys are the files and folders below a home in which people and programs keep
// keys, and what lets one read them: no command and no tool needs them.
func Keys(home string) []string {
	var all []string
	for _, name := range []string{
		".ssh", ".gnupg", ".aws", ".azure", ".kube", ".config/gcloud", ".config/gh", ".config/hub", ".config/op",
		".netrc", "_netrc", ".git-credentials", ".config/git/credentials", ".pypirc", ".npmrc", ".pgpass", ".my.cnf", ".vault-token", ".kaggle",
		".config/wandb", ".cargo/credentials", ".cargo/credentials.toml", ".local/share/keyrings", ".password-store", ".pki",
		".mozilla", ".config/google-chrome", ".config/chromium", ".config/BraveSoftware", ".config/microsoft-edge",
		"Library/Keychains", "Library/Cookies", "Library/Application Support/Google/Chrome", "Library/Application Support/Firefox",
		".bash_history", ".zsh_history", ".python_history", ".psql_history", ".local/share/fish",
		".docker", ".huggingface", ".terraform.d", ".oci", ".yarnrc.yml", ".databrickscfg", ".s3cfg", ".boto", ".gem/credentials", ".m2/settings.xml",
		".config/rclone", ".config/sops", ".config/doctl", ".config/github-copilot", ".config/glab-cli", ".claude", ".claude.json", ".codex", ".gemini",
		".local/share/kwalletd", ".Xauthority", ".ICEauthority", ".thunderbird", ".config/vivaldi", ".config/opera",
		"snap/firefox", "snap/chromium", ".var/app", "Library/Mail", "Library/Messages", "Library/Safari",
		"Library/Application Support/BraveSoftware",
	} {
		all = append(all, filepath.Join(home, filepath.FromSlash(name)))
	}
	return all
}
