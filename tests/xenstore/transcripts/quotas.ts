/** Rule 31: quotas of guests. */
import { type Row, transcript } from '../transcript.js';

const times = (count: number, row: (i: number) => Row): Row[] =>
  Array.from({ length: count }, (_, i) => row(i));
const v = (length: number): string => 'v'.repeat(length);

// biome-ignore format: one row per exchange
const MINE: readonly Row[] = [
  ['A',  0, 'MKDIR /mine|',                'OK|'],
  ['A',  0, 'SET_PERMS /mine|n5|',         'OK|'],
];

// biome-ignore format: one row per exchange
export const QUOTAS = [
  transcript(31, 'the size of a node', [
    ...MINE,
    ['d5', 0, `WRITE /mine/a|${v(2015)}`,  'OK|'],
    ['d5', 0, `WRITE /mine/a|${v(2016)}`,  '-ENOSPC'],
    ['d5', 0, 'READ /mine/a|',             v(2015)],
    ['d5', 0, `WRITE /mine/b|${v(2016)}`,  '-ENOSPC'],
    ['d5', 0, 'READ /mine/b|',             '-ENOENT'],
    ['d5', 0, 'SET_PERMS /mine/a|n5|r0|',  '-ENOSPC'],
    ['d5', 0, `WRITE /mine/a|${v(2007)}`,  'OK|'],
    ['d5', 0, 'SET_PERMS /mine/a|n5|r0|',  'OK|'],
    ['d5', 0, `WRITE /mine/a|${v(2008)}`,  '-ENOSPC'],
    ['A',  0, `WRITE /mine/a|${v(4000)}`,  'OK|'],
  ]),
  transcript(31, 'the names in a directory', [
    ...MINE,
    ...times(403, (i) => ['d5', 0, `MKDIR /mine/${1000 + i}|`, 'OK|']),
    ['d5', 0, 'MKDIR /mine/last|',         '-ENOSPC'],
    ['A',  0, 'MKDIR /mine/last|',         'OK|'],
  ], 'C limits the rate of a guest’s writes: 400 of them take minutes'),
  transcript(31, 'watches', [
    ...times(129, (i) => ['d5', 0, `WATCH /x|${i}|`, 'OK|', `! /x|${i}|`]),
    ['d5', 0, 'WATCH /x|more|',            '-E2BIG'],
    ['d5', 0, 'UNWATCH /x|7|',             'OK|'],
    ['d5', 0, 'WATCH /x|more|',            'OK|', '! /x|more|'],
  ]),
  transcript(31, 'open transactions', [
    ...times(11, (i) => ['d5', 0, 'TRANSACTION_START |', `${i + 1}|`]),
    ['d5', 0, 'TRANSACTION_START |',       '-ENOSPC'],
    ['d5', 3, 'TRANSACTION_END F|',        'OK|'],
    ['d5', 0, 'TRANSACTION_START |',       '12|'],
  ]),
  transcript(31, 'entries of a permission list', [
    ...MINE,
    ...times(7, (i) => ['*', 0, `domain ${10 + i} exists`]),
    ['d5', 0, 'SET_PERMS /mine|n5|r10|r11|r12|r13|', 'OK|'],
    ['d5', 0, 'SET_PERMS /mine|n5|r10|r11|r12|r13|r14|', '-ENOSPC'],
    ['A',  0, 'SET_PERMS /mine|n5|r10|r11|r12|r13|r14|r15|', 'OK|'],
  ]),
  transcript(31, 'nodes owned', [
    ...MINE,
    ...times(9, (i) => ['d5', 0, `MKDIR /mine/${i}|`, 'OK|']),
    ['A',  0, 'CONTROL quota|set|nodes|10|', 'OK|'],
    ['d5', 0, 'MKDIR /mine/x|',            '-ENOSPC'],
    ['d5', 0, 'WRITE /mine/1|y',           'OK|'],
    ['d5', 0, 'RM /mine/3|',               'OK|'],
    ['d5', 0, 'MKDIR /mine/x|',            'OK|'],
    ['d5', 0, 'MKDIR /mine/y|',            '-ENOSPC'],
    ['A',  0, 'MKDIR /mine/z|',            'OK|'],
  ]),
  transcript(31, 'nodes in a transaction', [
    ['A',  0, 'SET_PERMS /tool|r0|',       'OK|'],
    ['A',  0, 'CONTROL quota|set|transaction-nodes|4|', 'OK|'],
    ['d5', 0, 'TRANSACTION_START |',       '1|'],
    ['d5', 1, 'READ /tool/a|',             '-ENOENT'],
    ['d5', 1, 'READ /tool/b|',             '-ENOENT'],
    ['d5', 1, 'READ /tool/c|',             '-ENOENT'],
    ['d5', 1, 'READ /tool/d|',             '-ENOSPC'],
    ['d5', 1, 'READ /tool/a|',             '-ENOENT'],
    ['d5', 1, 'TRANSACTION_END T|',        '-ENOMEM'],
  ]),
];
