/**
 * What a Graph call answers, before it is bytes, and how its errors are worded (meta-platform.md §3.4). Messages come
 * in English, Portuguese and Japanese by seed, so that nobody can classify by text.
 */
import { hashText } from "./chance.ts";
import type { BatchTwist, GraphErrorRow, TransportFault } from "./trouble.ts";
import type { SandboxLogin } from "./world.ts";

export type GraphReply = {
  readonly status: number;
  readonly body: unknown;
  /** The error's code; `null` where the call succeeded. */
  readonly code: number | null;
  readonly fault: TransportFault | null;
  readonly batch: BatchTwist | null;
};

/** A plain success. */
export function createReply(body: unknown): GraphReply {
  return { status: 200, body, code: null, fault: null, batch: null };
}

const generic = {
  portuguese: "Não foi possível concluir o pedido. Tente novamente mais tarde.",
  japanese: "リクエストを処理できませんでした。",
} as const;
const translations: Readonly<Record<number, { portuguese: string; japanese: string }>> = {
  4: { portuguese: "O limite de pedidos da aplicação foi atingido", japanese: "アプリのリクエスト制限に達しました" },
  100: { portuguese: "Parâmetro inválido", japanese: "パラメータが無効です" },
  190: { portuguese: "Erro ao validar o token de acesso", japanese: "アクセストークンの検証エラー" },
  230: {
    portuguese: "É necessário o consentimento do utilizador",
    japanese: "プロフィールへのアクセスにはユーザーの同意が必要です",
  },
  9010: {
    portuguese: "Nenhum utilizador do Instagram correspondente",
    japanese: "一致するInstagramユーザーがいません",
  },
  80002: {
    portuguese: "Demasiadas chamadas para esta conta do Instagram",
    japanese: "このInstagramアカウントへの呼び出しが多すぎます",
  },
  80006: { portuguese: "Demasiadas chamadas para esta conta", japanese: "このアカウントへの呼び出しが多すぎます" },
};

export type WriteGraphError = (row: GraphErrorRow, host: SandboxLogin) => GraphReply;

/**
 * Makes the writer of error bodies. The language follows the seed and a running number: of five errors about three
 * are English.
 */
export function createErrorWriter(seed: number): WriteGraphError {
  let written = 0;
  return (row, host) => {
    written += 1;
    const chance = hashText(seed, `error ${written}`);
    const code = (host === "instagram" ? row.onInstagram?.code : undefined) ?? row.code;
    const type = (host === "instagram" ? row.onInstagram?.type : undefined) ?? row.type ?? "OAuthException";
    const language = row.isPlain ? 0 : chance % 5;
    const translated = translations[code] ?? generic;
    const text = language === 3 ? translated.portuguese : language === 4 ? translated.japanese : row.message;
    const error = {
      message: chance % 2 === 0 && !row.isPlain ? `(#${code}) ${text}` : text,
      type,
      code,
      ...(row.subcode === undefined ? {} : { error_subcode: row.subcode }),
      ...(row.isTransient === undefined ? {} : { is_transient: row.isTransient }),
      fbtrace_id: `A${chance.toString(36)}${written.toString(36)}`,
    };
    return { status: row.status, body: { error }, code, fault: null, batch: null };
  };
}

/** The codes of §5.4: whether a reply with this code means "slower". */
const throttleCodes: ReadonlySet<number> = new Set([4, 17, 32, 341, 613, 80001, 80002, 80006]);
export function isThrottleCode(code: number | null): boolean {
  return code !== null && throttleCodes.has(code);
}

/** Errors of a request as such, of no person. */
export const requestErrors = {
  tokenMissing: {
    isPlain: true,
    status: 400,
    code: 2500,
    message: "An active access token must be used to query information about the current user.",
  },
  tokenUnknown: {
    isPlain: true,
    status: 400,
    code: 190,
    message: "Invalid OAuth access token - Cannot parse access token",
  },
  proofMissing: {
    isPlain: true,
    status: 400,
    code: 100,
    type: "GraphMethodException",
    message: "API calls from the server require an appsecret_proof argument",
  },
  proofWrong: {
    isPlain: true,
    status: 400,
    code: 100,
    type: "GraphMethodException",
    message: "Invalid appsecret_proof provided in the API argument",
  },
  idsGone: { status: 400, code: 100, message: "The ids parameter is no longer supported" },
  syntax: { status: 400, code: 2500, message: "Syntax error in the fields parameter" },
  parameter: { status: 400, code: 100, message: "Invalid parameter" },
  unsupported: {
    status: 400,
    code: 100,
    subcode: 33,
    type: "GraphMethodException",
    message:
      "Unsupported request. The object does not exist, cannot be loaded due to missing permissions, or does not support this operation",
  },
  batchUnsupported: { status: 400, code: 100, type: "IGApiException", message: "Unsupported post request" },
  batchTooLong: {
    status: 400,
    code: 100,
    type: "GraphBatchException",
    message: "Too many requests in batch message. Maximum batch size is 50",
  },
  batchMalformed: {
    status: 400,
    code: 100,
    type: "GraphBatchException",
    message: "The batch parameter must be a JSON array",
  },
  tooMuchData: {
    isPlain: true,
    status: 500,
    code: 1,
    message: "Please reduce the amount of data you're asking for, then retry your request",
  },
} as const satisfies Record<string, GraphErrorRow>;

/** The refusal of a field a node does not have. */
export function unknownFieldError(field: string, node: string): GraphErrorRow {
  return { status: 400, code: 100, message: `Tried accessing nonexisting field (${field}) on node type (${node})` };
}

/** The refusal of a version Graph never had or has no more (meta-platform.md §0.5). */
export function unknownPathError(path: string): GraphErrorRow {
  return { isPlain: true, status: 400, code: 2500, message: `Unknown path components: ${path}` };
}
