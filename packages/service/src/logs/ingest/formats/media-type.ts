import { ApiError } from "../../../errors.ts";

const charsets = new Set(["utf-8", "utf8", "us-ascii", "ascii"]);

/** The type of a body, in lower case and without parameters; "" when none was said. 415 when it is not in UTF-8. */
export function mediaTypeOf(contentType = ""): string {
  const [type = "", ...parameters] = contentType.split(";").map((part) => part.trim().toLowerCase());
  const charset = parameters
    .find((parameter) => parameter.startsWith("charset="))
    ?.slice(8)
    .replace(/^"|"$/g, "");
  if (charset !== undefined && !charsets.has(charset)) {
    throw new ApiError("UNSUPPORTED_MEDIA_TYPE", "Logs are taken in UTF-8 only. Send charset=utf-8.");
  }
  return type;
}

const protobufTypes = new Set(["application/x-protobuf", "application/protobuf", "application/vnd.google.protobuf"]);

export function isProtobuf(mediaType: string): boolean {
  return protobufTypes.has(mediaType);
}
