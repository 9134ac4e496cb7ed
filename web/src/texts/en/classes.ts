/** The detectors' classes. */
export const classes = {
  ANUS_EXPOSED: "Anus, bare",
  ARMPITS_EXPOSED: "Armpit, bare",
  BELLY_EXPOSED: "Belly, bare",
  BUTTOCKS_EXPOSED: "Buttocks, bare",
  FEET_EXPOSED: "Feet, bare",
  FEMALE_BREAST_EXPOSED: "Female breast, bare",
  FEMALE_GENITALIA_EXPOSED: "Female genitalia, bare",
  MALE_BREAST_EXPOSED: "Male breast, bare",
  MALE_GENITALIA_EXPOSED: "Male genitalia, bare",
  ANUS_COVERED: "Anus, clothed",
  ARMPITS_COVERED: "Armpit, clothed",
  BELLY_COVERED: "Belly, clothed",
  BUTTOCKS_COVERED: "Buttocks, clothed",
  FEET_COVERED: "Feet, clothed",
  FEMALE_BREAST_COVERED: "Female breast, clothed",
  FEMALE_GENITALIA_COVERED: "Female genitalia, clothed",
  FACE_FEMALE: "Face, female",
  FACE_MALE: "Face, male",
} as Record<string, string>;

/** What is found in words rather than seen; rules have them under `text`. */
export const textClasses = {
  TEXT: "Forbidden word",
  TEXT_UNREAD: "Words not read yet",
} as Record<string, string>;
