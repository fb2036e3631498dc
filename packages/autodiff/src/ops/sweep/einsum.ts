import type { Case } from './case.ts';

const einsum = (equation: string, ...operands: readonly (readonly number[])[]): Case => ({
  op: 'Einsum',
  operands,
  attributes: { equation },
});

/** Products, traces of indices, ellipses, indices that only one operand has. */
export const EINSUM: readonly Case[] = [
  einsum('ij,jk->ik', [2, 3], [3, 4]),
  einsum('bij,bjk->bik', [2, 2, 3], [2, 3, 2]),
  einsum('bhid,bhjd->bhij', [2, 2, 3, 2], [2, 2, 2, 2]),
  einsum('ij->ji', [2, 3]),
  einsum('ij->i', [2, 3]),
  einsum('ij->', [2, 3]),
  einsum('ij,ij->', [2, 3], [2, 3]),
  einsum('i,j->ij', [2], [3]),
  einsum('ij,kj', [2, 3], [2, 3]),
  einsum('ijk,k->j', [2, 3, 2], [2]),
  einsum('ij, jk, kl -> il', [2, 3], [3, 2], [2, 2]),
  einsum('...ij,...jk->...ik', [2, 2, 3], [2, 3, 2]),
  einsum('...ij,...jk->...ik', [2, 1, 2, 3], [1, 2, 3, 2]),
  einsum('...ij,jk->...ik', [2, 2, 3], [3, 2]),
  einsum('...i,...i', [2, 2, 3], [2, 2, 3]),
  einsum('B...i,i->...B', [2, 3, 2], [2]),
];
