package roster

import "fmt"

// Eval returns the users of an expression. Groups, users and directories are
// named in it as FindGroup, FindUser and DirectoryByName take them, with their
// errors; organisations and roles by their IDs, with ErrNotFound.
func (tx *Txn) Eval(x *Expr) (Set, error) {
	st, err := tx.snapshot()
	if err != nil {
		return Set{}, err
	}
	n, err := tx.eval(st, &x.root)
	if err != nil {
		return Set{}, err
	}
	return Set{numbers: n, st: st}, nil
}

func (tx *Txn) eval(st *state, x *exprNode) (numbers, error) {
	switch x.kind {
	case exprNone:
		return numbers{}, nil
	case exprAll:
		return st.direct(setAll), nil
	case exprActive:
		return st.direct(setActive), nil
	case exprGroup, exprDirect, exprAdmins:
		g, err := st.findGroup(x.name)
		switch {
		case err != nil:
			return numbers{}, err
		case x.kind == exprDirect:
			return tx.e.cache.get(&st.index, &st.users.byName, g, true), nil
		case x.kind == exprAdmins:
			return st.admins(tx.e, g), nil
		}
		return st.effective(&tx.e.cache, g), nil
	case exprOrg, exprOwners:
		org, err := tx.findOrganization(x.name)
		if err != nil {
			return numbers{}, err
		}
		if x.kind == exprOwners {
			org = ownersOf(org)
		}
		return st.direct(org), nil
	case exprRole:
		role, err := tx.findRole(x.name, x.role)
		if err != nil {
			return numbers{}, err
		}
		return st.direct(role), nil
	case exprDirectory:
		d, err := tx.DirectoryByName(x.name)
		if err != nil {
			return numbers{}, err
		}
		return st.direct(st.dir(d.ID).set), nil
	case exprUser, exprAssignable, exprAdministered:
		u, err := st.findUser(x.name)
		switch {
		case err != nil:
			return numbers{}, err
		case x.kind == exprAssignable:
			return tx.e.delegates.assignable(st, u), nil
		case x.kind == exprAdministered:
			return st.administeredMembers(u), nil
		}
		return listOf([]uint32{u}), nil
	case exprNot:
		n, err := tx.eval(st, &x.args[0])
		return st.direct(setAll).andNot(n), err
	case exprAnd, exprOr:
		return tx.chain(st, x)
	}
	return numbers{}, fmt.Errorf("%s: %w", (&Expr{*x}).String(), ErrNotFound)
}

// chain evaluates the operands of & or |. A negated operand of & is taken away
// rather than complemented.
func (tx *Txn) chain(st *state, x *exprNode) (numbers, error) {
	var out numbers
	for i := range x.args {
		arg := &x.args[i]
		without := x.kind == exprAnd && i > 0 && arg.kind == exprNot
		if without {
			arg = &arg.args[0]
		}
		n, err := tx.eval(st, arg)
		switch {
		case err != nil:
			return numbers{}, err
		case i == 0:
			out = n
		case without:
			out = out.andNot(n)
		case x.kind == exprAnd:
			out = out.and(n)
		default:
			out = out.or(n)
		}
	}
	return out, nil
}
