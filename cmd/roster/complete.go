package main

import (
	"errors"
	"iter"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/internal/text"
)

// names gives what may stand for an argument of which some is typed. Args are
// the arguments before it.
type names func(tx *roster.Txn, args []string, typed string) iter.Seq[string]

// completion is what cobra asks for candidates.
type completion = func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective)

// maxCandidates is how many candidates are shown: more than that nobody reads.
const maxCandidates = 50

// complete completes the arguments of a command, one kind of names for each.
func (p *program) complete(each ...names) completion {
	return p.completeAll(nil, each...)
}

// completeAll is complete for a command that takes any number of arguments more.
func (p *program) completeAll(rest names, each ...names) completion {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		n := rest
		if len(args) < len(each) {
			n = each[len(args)]
		}
		return p.candidates(cmd, n, args, typed), cobra.ShellCompDirectiveNoFileComp
	}
}

// files leaves an argument to the shell, which knows files.
func files(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}

// completeExpr completes the last name of a set expression.
func (p *program) completeExpr(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return p.candidates(cmd, exprNames, args, typed), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// completeFlag completes the value of a flag.
func (p *program) completeFlag(cmd *cobra.Command, flag string, n names) {
	_ = cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		return p.candidates(cmd, n, args, typed), cobra.ShellCompDirectiveNoFileComp
	}) // fails only for a flag that does not exist
}

// completeWords completes the value of a flag that is one of some words.
func completeWords(cmd *cobra.Command, flag string, words ...string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

// candidates returns the first names, and none if the data cannot be read now:
// whoever presses a key wants no error and does not wait.
func (p *program) candidates(cmd *cobra.Command, n names, args []string, typed string) (out []string) {
	if n == nil {
		return nil
	}
	e, err := roster.Open(p.data, roster.Options{ReadOnly: true})
	if err != nil {
		return nil
	}
	defer e.Close() // only read from
	_ = e.View(cmd.Context(), func(tx *roster.Txn) error {
		for name := range n(tx, args, typed) {
			if !slices.Contains(out, name) {
				out = append(out, name)
			}
			if len(out) == maxCandidates {
				break
			}
		}
		return nil
	})
	return out
}

// prefixed yields the names that begin with what is typed, as names are
// compared. They come in their order, so that those stand together.
func prefixed(all iter.Seq[string], typed string) iter.Seq[string] {
	return func(yield func(string) bool) {
		begin, within := text.Fold(typed), false
		for name := range all {
			if strings.HasPrefix(text.Fold(name), begin) {
				within = true
				if !yield(name) {
					return
				}
			} else if within {
				return
			}
		}
	}
}

// each yields what fn makes of every value.
func each[T any](all iter.Seq[T], fn func(T) string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for v := range all {
			if !yield(fn(v)) {
				return
			}
		}
	}
}

// unambiguous yields names in a form that means one only: find returns the error that
// lists the candidates of one that does not.
func unambiguous(all iter.Seq[string], find func(name string) error) iter.Seq[string] {
	return func(yield func(string) bool) {
		for name := range all {
			forms := []string{name}
			var ambiguous *roster.AmbiguousError
			if errors.As(find(name), &ambiguous) {
				forms = ambiguous.Candidates
			}
			for _, form := range forms {
				if !yield(form) {
					return
				}
			}
		}
	}
}

func none(func(string) bool) {}

func userNames(tx *roster.Txn, _ []string, typed string) iter.Seq[string] {
	all, err := tx.Users()
	if err != nil {
		return none
	}
	name, _, _ := strings.Cut(typed, "@")
	forms := unambiguous(prefixed(each(all.ByName(""), tx.Username), name), func(ref string) error {
		_, err := tx.FindUser(ref)
		return err
	})
	return starting(forms, typed)
}

func groupNames(tx *roster.Txn, _ []string, typed string) iter.Seq[string] {
	all := each(tx.GroupsByName(), tx.GroupName)
	if dir, name, ok := strings.Cut(typed, ":"); ok {
		if d, err := tx.DirectoryByName(dir); err == nil {
			there := only(prefixed(all, name), func(name string) bool {
				_, ok := tx.GroupByName(d.ID, name)
				return ok
			})
			return each(there, func(name string) string { return dir + ":" + name })
		}
	}
	return unambiguous(prefixed(all, typed), func(ref string) error {
		_, err := tx.FindGroup(ref)
		return err
	})
}

// memberNames gives users, and groups behind the word that says so.
func memberNames(tx *roster.Txn, args []string, typed string) iter.Seq[string] {
	const word = "group:"
	if name, ok := strings.CutPrefix(typed, word); ok {
		return each(groupNames(tx, args, name), func(name string) string { return word + name })
	}
	return userNames(tx, args, typed)
}

func orgNames(tx *roster.Txn, _ []string, typed string) iter.Seq[string] {
	return prefixed(tx.Organizations(""), typed)
}

// roleNames gives the roles of the organisation that the first argument names.
func roleNames(tx *roster.Txn, args []string, typed string) iter.Seq[string] {
	if len(args) == 0 {
		return none
	}
	roles, err := tx.Roles(args[0])
	if err != nil {
		return none
	}
	return prefixed(slices.Values(roles), typed)
}

// orgMemberNames gives the members of the organisation that the first argument
// names.
func orgMemberNames(tx *roster.Txn, args []string, typed string) iter.Seq[string] {
	members, err := tx.OrgMembers(args[0])
	if err != nil {
		return none
	}
	return prefixed(each(members.ByName(""), tx.Username), typed)
}

func directoryNames(tx *roster.Txn, _ []string, typed string) iter.Seq[string] {
	var all []string
	for _, d := range tx.Directories() {
		all = append(all, d.Name)
	}
	slices.Sort(all)
	return starting(slices.Values(all), typed)
}

// exprWords are the words of a set expression that stand before a name, with
// what names they stand before.
var exprWords = []struct {
	word string
	names
}{
	{"administered:", userNames}, {"admins:", groupNames}, {"assignable:", userNames}, {"direct:", groupNames},
	{"directory:", directoryNames}, {"group:", groupNames}, {"org:", orgNames}, {"owners:", orgNames},
	{"role:", orgRoleNames}, {"user:", userNames},
}

// exprNames completes the last name of an expression. A name that has to be
// quoted there is left out: shells do not agree on how to go on behind a quote.
func exprNames(tx *roster.Txn, args []string, typed string) iter.Seq[string] {
	at := strings.LastIndexAny(typed, "&|!( ") + 1
	head, last := typed[:at], typed[at:]
	if strings.Contains(last, `"`) {
		return none
	}
	for _, w := range exprWords {
		if name, ok := strings.CutPrefix(last, w.word); ok {
			return each(only(w.names(tx, args, name), bare), func(name string) string { return head + w.word + name })
		}
	}
	return func(yield func(string) bool) {
		for _, w := range exprWords {
			if last != "" && strings.HasPrefix(w.word, last) && !yield(head+w.word) {
				return
			}
		}
		for name := range only(groupNames(tx, args, last), bare) {
			if !yield(head + name) {
				return
			}
		}
	}
}

// orgRoleNames gives organisations, and behind the slash their roles.
func orgRoleNames(tx *roster.Txn, _ []string, typed string) iter.Seq[string] {
	org, role, ok := strings.Cut(typed, "/")
	if !ok {
		return each(orgNames(tx, nil, typed), func(id string) string { return id + "/" })
	}
	return each(roleNames(tx, []string{org}, role), func(id string) string { return org + "/" + id })
}

// bare reports whether a name may stand in an expression as it is.
func bare(name string) bool {
	return !slices.Contains([]string{"all", "active", "none"}, name) && !strings.ContainsFunc(name, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(`_-./@:\#`, r)
	})
}

// starting yields those that begin with what is typed, in whatever order.
func starting(all iter.Seq[string], typed string) iter.Seq[string] {
	begin := text.Fold(typed)
	return only(all, func(name string) bool { return strings.HasPrefix(text.Fold(name), begin) })
}

func only(all iter.Seq[string], keep func(string) bool) iter.Seq[string] {
	return func(yield func(string) bool) {
		for name := range all {
			if keep(name) && !yield(name) {
				return
			}
		}
	}
}

// addCompletion adds the command that writes the scripts for shells, with
// examples of how each is installed.
func addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	cmd, _, _ := root.Find([]string{"completion"})
	cmd.Example = example("roster completion bash >roster.bash && . ./roster.bash    # for this shell")
	for _, shell := range cmd.Commands() {
		shell.Example = example(map[string]string{
			"bash":       "echo '. <(roster completion bash)' >>~/.bashrc",
			"zsh":        "mkdir -p ~/.zfunc && roster completion zsh >~/.zfunc/_roster    # with fpath+=~/.zfunc in ~/.zshrc",
			"fish":       "mkdir -p ~/.config/fish/completions && roster completion fish >~/.config/fish/completions/roster.fish",
			"powershell": "roster completion powershell >roster.ps1    # and . ./roster.ps1 in the profile",
		}[shell.Name()])
	}
}
